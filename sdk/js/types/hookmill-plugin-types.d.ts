declare module 'hookmill:plugin/types@0.1.0' {
  /**
   * A named value. Several fields may have the same name.
   */
  export interface Field {
    /**
     * The name; header names are in lower case.
     */
    name: string,
    /**
     * The value, as text.
     */
    value: string,
  }
  /**
   * One received and verified payload.
   */
  export interface Event {
    /**
     * The event's id, assigned by the host: a UUID in hyphenated form.
     */
    id: string,
    /**
     * The name of the source, e.g. `edr`.
     */
    source: string,
    /**
     * The time of receipt, in milliseconds since the Unix epoch. The WASI wall clock returns the same time.
     */
    receivedAt: bigint,
    /**
     * The `Content-Type` header, as sent.
     */
    contentType?: string,
    /**
     * The HTTP headers, as sent, without those that contain secrets or signatures.
     */
    headers: Array<Field>,
    /**
     * Further facts about the request that are not headers: `query.NAME` for a query parameter, `delivery-id` for
     * the sender's own id of this delivery, `sse.event` and `sse.id` for a message of an event stream.
     */
    context: Array<Field>,
    /**
     * The `settings` of the source, as configured.
     */
    settings: Array<Field>,
    /**
     * The payload, unchanged.
     */
    body: Uint8Array,
  }
  /**
   * A point in time as the vendor wrote it; the host parses it. Two forms are accepted: RFC 3339 with any offset and
   * any number of fractional digits, and a decimal number. The size of the number decides its unit: Unix seconds,
   * milliseconds, microseconds, nanoseconds or Windows FILETIME. Years outside 1970 to 9999 and any other form are
   * left out with a problem.
   */
  export type Timestamp = string;
  /**
   * The severity of an incident, in ascending order.
   * # Variants
   * 
   * ## `"informational"`
   * 
   * For information; no action is needed.
   * ## `"low"`
   * 
   * Minor; can wait.
   * ## `"medium"`
   * 
   * Normal priority. The default for incidents without a severity.
   * ## `"high"`
   * 
   * Serious; comes before normal work.
   * ## `"critical"`
   * 
   * Needs action immediately.
   */
  export type Severity = 'informational' | 'low' | 'medium' | 'high' | 'critical';
  /**
   * A marking of the Traffic Light Protocol (TLP) 2.0, which limits sharing; in ascending order.
   * # Variants
   * 
   * ## `"clear"`
   * 
   * No limit on sharing.
   * ## `"green"`
   * 
   * Sharing within the community.
   * ## `"amber"`
   * 
   * Sharing within the organisation and with its clients, on a need-to-know basis.
   * ## `"amber-strict"`
   * 
   * Sharing within the organisation only.
   * ## `"red"`
   * 
   * No sharing beyond the individual recipients.
   */
  export type Tlp = 'clear' | 'green' | 'amber' | 'amber-strict' | 'red';
  /**
   * The state of an incident at the vendor.
   * # Variants
   * 
   * ## `"open"`
   * 
   * Open, or reopened.
   * ## `"resolved"`
   * 
   * Closed, fixed or dismissed.
   */
  export type State = 'open' | 'resolved';
  /**
   * A technical artefact that can be looked up or blocked: an address, a hash, a mailbox.
   */
  export interface Observable {
    /**
     * The type, in `[a-z0-9_-]`: TheHive's names (`ip`, `domain`, `fqdn`, `hostname`, `url`, `hash`, `filename`,
     * `mail`, `mail-subject`, `user-agent`, `registry`, `regexp`, `uri_path`, `autonomous-system`, `other`) and
     * `user-account`, `mac`, `cve`. Other names are allowed.
     */
    dataType: string,
    /**
     * The value. The host leaves out an observable with an empty value, with a problem.
     */
    value: string,
    /**
     * The role in the incident, in a few words.
     */
    message?: string,
    /**
     * The tags of this observable.
     */
    tags: Array<string>,
    /**
     * True if the vendor rates the observable itself as malicious, not only as involved.
     */
    ioc: boolean,
  }
  /**
   * A technique or tactic of MITRE ATT&CK.
   */
  export interface Technique {
    /**
     * The id: `T1059`, `T1059.001` or, if only the tactic is known, `TA0002`.
     */
    id: string,
    /**
     * The tactic of this technique, by name or id.
     */
    tactic?: string,
  }
  /**
   * The observation of one incident in one payload. Absent values leave the stored incident unchanged.
   */
  export interface Incident {
    /**
     * The vendor's own stable id, 1 to 512 bytes. Payloads of one source with the same `source-ref` are about the
     * same incident.
     */
    sourceRef: string,
    /**
     * The title, one line of 1 to 512 bytes; a longer one is cut. An incident without a title shows its `source-ref`.
     */
    title?: string,
    /**
     * The description, as free text.
     */
    description?: string,
    /**
     * The category, e.g. `phishing` or `malware`.
     */
    category?: string,
    /**
     * The severity, as the mapper reads the payload.
     */
    severity?: Severity,
    /**
     * The severity as the vendor wrote it. The source's `severity_mapping` applies to this value and takes precedence
     * over `severity`.
     */
    vendorSeverity?: string,
    /**
     * The state at the vendor.
     */
    state?: State,
    /**
     * The TLP marking. A later payload can raise the stored marking but not lower it.
     */
    tlp?: Tlp,
    /**
     * The time of the incident.
     */
    occurredAt?: Timestamp,
    /**
     * The time at which the vendor reports this state. Decides which of two updates is newer, whatever the order of
     * arrival.
     */
    changedAt?: Timestamp,
    /**
     * The URL of the incident in the vendor's console.
     */
    externalLink?: string,
    /**
     * The tags, 1 to 128 bytes each; others are left out with a problem.
     */
    tags: Array<string>,
    /**
     * The observables.
     */
    observables: Array<Observable>,
    /**
     * The techniques of the attacker.
     */
    techniques: Array<Technique>,
    /**
     * Further fields of the vendor to keep. A value that parses as JSON, nested at most 64 deep, is stored as JSON,
     * any other as text.
     */
    details: Array<Field>,
  }
  /**
   * The result of mapping one payload.
   */
  export interface Outcome {
    /**
     * The incidents. Entries with the same `source-ref` are merged in this order. Of more than 1,000, or the
     * limit that the configuration sets, the host takes the first and makes a problem of the rest.
     */
    incidents: Array<Incident>,
    /**
     * The reasons why the payload or parts of it are not incidents.
     */
    skipped: Array<string>,
    /**
     * The parts that should be incidents but could not be mapped, with reasons. Their event is stored as `partial`.
     * The host keeps 50 reasons of each list and 512 bytes of each reason.
     */
    problems: Array<string>,
  }
  /**
   * The reason why a whole payload could not be mapped. The sender sees the text, which should name what was expected.
   */
  export type MappingError =
    | {
      /**
       * The payload is of a known kind but broken: invalid JSON, a missing id.
       */
      tag: 'malformed',
      val: string,
    }
    | {
      /**
       * The payload is of a kind this mapper does not know. If the source has several mappers, the host calls the next.
       */
      tag: 'unsupported',
      val: string,
    };
  /**
   * The description of a plugin. The host identifies a plugin by its file name, not by this record.
   */
  export interface Description {
    /**
     * The display name.
     */
    name: string,
    /**
     * The plugin's own version.
     */
    version: string,
    /**
     * A summary in one sentence.
     */
    summary: string,
    /**
     * For mappers: the signature scheme of this vendor. The host suggests it when a source is registered and never
     * applies it by itself.
     */
    scheme?: string,
  }
  /**
   * The status of the work on an incident.
   * # Variants
   * 
   * ## `"new"`
   * 
   * Not triaged yet.
   * ## `"triaged"`
   * 
   * Triaged.
   * ## `"in-progress"`
   * 
   * Under investigation.
   * ## `"escalated"`
   * 
   * Escalated to another team.
   * ## `"resolved"`
   * 
   * Resolved.
   * ## `"false-positive"`
   * 
   * A false alarm.
   * ## `"closed"`
   * 
   * Closed; no further work is planned.
   */
  export type Status = 'new' | 'triaged' | 'in-progress' | 'escalated' | 'resolved' | 'false-positive' | 'closed';
  /**
   * A note on an incident.
   */
  export interface Note {
    /**
     * The time, as RFC 3339 in UTC.
     */
    at: string,
    /**
     * The author: the name of an API token, or `playbook NAME`.
     */
    by: string,
    /**
     * The text.
     */
    text: string,
  }
  /**
   * An incident as stored by the host. Times are RFC 3339 in UTC.
   */
  export interface StoredIncident {
    /**
     * The host's id of the incident: a UUID in hyphenated form.
     */
    id: string,
    /**
     * The incident number, such as `INC-2026-0001`.
     */
    number: string,
    /**
     * The name of the incident's source.
     */
    source: string,
    /**
     * The vendor's own id.
     */
    sourceRef: string,
    /**
     * The title, one line.
     */
    title: string,
    /**
     * The description, as free text.
     */
    description?: string,
    /**
     * The category.
     */
    category?: string,
    /**
     * The severity.
     */
    severity: Severity,
    /**
     * The status of the work.
     */
    status: Status,
    /**
     * The person or team that works on the incident.
     */
    assignee?: string,
    /**
     * The TLP marking.
     */
    tlp?: Tlp,
    /**
     * The time of the incident.
     */
    occurredAt?: string,
    /**
     * The URL of the incident in the vendor's console.
     */
    externalLink?: string,
    /**
     * The tags.
     */
    tags: Array<string>,
    /**
     * The observables.
     */
    observables: Array<Observable>,
    /**
     * The techniques of the attacker.
     */
    techniques: Array<Technique>,
    /**
     * The vendor's fields that the mapper kept: texts without quotes, all other values as JSON.
     */
    details: Array<Field>,
    /**
     * The notes, oldest first.
     */
    notes: Array<Note>,
    /**
     * The number of events about this incident.
     */
    occurrences: bigint,
    /**
     * The time of creation.
     */
    createdAt: string,
    /**
     * The time of the last change.
     */
    updatedAt: string,
  }
  /**
   * A change that a playbook requests. The host applies all actions of one call in order and in one transaction, or
   * none of them.
   */
  export type Action =
    | {
      /**
       * Sets the severity.
       */
      tag: 'set-severity',
      val: Severity,
    }
    | {
      /**
       * Sets the status.
       */
      tag: 'set-status',
      val: Status,
    }
    | {
      /**
       * Sets the category, 1 to 128 bytes.
       */
      tag: 'set-category',
      val: string,
    }
    | {
      /**
       * Sets the assignee, 1 to 128 bytes.
       */
      tag: 'set-assignee',
      val: string,
    }
    | {
      /**
       * Adds a tag, 1 to 128 bytes. No effect if the incident has the tag.
       */
      tag: 'add-tag',
      val: string,
    }
    | {
      /**
       * Adds an observable. If the incident has an observable with this type and value, the two are merged.
       */
      tag: 'add-observable',
      val: Observable,
    }
    | {
      /**
       * Adds a note, 1 byte to 16 KiB. No effect if this playbook added the same note before.
       */
      tag: 'add-note',
      val: string,
    }
    | {
      /**
       * Sends the audit entry of these actions to the destination with this name, even if nothing else changed.
       */
      tag: 'notify',
      val: string,
    };
  /**
   * The operation of an audit entry.
   * # Variants
   * 
   * ## `"creation"`
   * 
   * The incident was created.
   * ## `"update"`
   * 
   * The incident was changed.
   * ## `"delete"`
   * 
   * The incident was deleted.
   */
  export type Operation = 'creation' | 'update' | 'delete';
  /**
   * An audit entry to be delivered to a destination.
   */
  export interface Notification {
    /**
     * The id of the delivery, a UUID. All attempts of one delivery have the same id.
     */
    id: string,
    /**
     * The name of the destination.
     */
    destination: string,
    /**
     * The operation.
     */
    operation: Operation,
    /**
     * The time of the operation, in milliseconds since the Unix epoch.
     */
    at: bigint,
    /**
     * The id of the event or of the API request that caused the operation.
     */
    requestId: string,
    /**
     * The attributes that were set or changed, with new values: texts without quotes, all other values as JSON.
     */
    changes: Array<Field>,
    /**
     * The incident after the operation.
     */
    incident: StoredIncident,
    /**
     * The whole audit entry as JSON, in the form sent to destinations without a notifier.
     */
    entry: string,
  }
  /**
   * An HTTP request for the host to send. The host adds the headers `webhook-id`, `webhook-timestamp` and, if the
   * destination has a secret, `webhook-signature`, which signs the body.
   */
  export interface HttpRequest {
    /**
     * The method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
     */
    method: string,
    /**
     * The URL, at most 4096 bytes: absolute with the scheme, host and port of the destination's URL, or relative to
     * that URL. The default is the destination's URL.
     */
    url?: string,
    /**
     * The headers, at most 50 with 16 KiB in total. The default for `content-type` is `application/json`. Headers set
     * by the host or by the connection are rejected.
     */
    headers: Array<Field>,
    /**
     * The body, sent unchanged.
     */
    body: Uint8Array,
  }
}
