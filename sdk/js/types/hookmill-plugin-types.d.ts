declare module 'hookmill:plugin/types@0.1.0' {
  /**
   * One named value. Names may repeat.
   */
  export interface Field {
    /**
     * The name; for headers in lower case.
     */
    name: string,
    /**
     * The value as text.
     */
    value: string,
  }
  /**
   * One payload as it was received and verified.
   */
  export interface Event {
    /**
     * The host's id of this event, a UUID in its usual text form.
     */
    id: string,
    /**
     * The name under which the sender is registered, e.g. `edr`.
     */
    source: string,
    /**
     * When the host received it, in milliseconds since the Unix epoch. The WASI wall clock shows the same time.
     */
    receivedAt: bigint,
    /**
     * The `Content-Type` as sent.
     */
    contentType?: string,
    /**
     * The HTTP headers as sent, except those that carry secrets or signatures.
     */
    headers: Array<Field>,
    /**
     * What else is known of the delivery and is not in the headers: `query.NAME` for a query parameter,
     * `delivery-id` for the sender's own id of this delivery.
     */
    context: Array<Field>,
    /**
     * The `settings` of the source, as the operator wrote them.
     */
    settings: Array<Field>,
    /**
     * The body, byte for byte.
     */
    body: Uint8Array,
  }
  /**
   * A point in time as the vendor wrote it; the host parses it. Either RFC 3339 with any offset and any number of
   * fractional digits, or digits only: Unix seconds, milliseconds, microseconds, nanoseconds or Windows FILETIME,
   * told apart by size. Years 1970 to 9999; anything else is refused as `invalid_incident`.
   */
  export type Timestamp = string;
  /**
   * How bad it is, in five steps.
   * # Variants
   * 
   * ## `"informational"`
   * 
   * Worth knowing; nobody has to act.
   * ## `"low"`
   * 
   * To be looked at when there is time.
   * ## `"medium"`
   * 
   * To be looked at in the usual order. What an incident gets when nothing says otherwise.
   * ## `"high"`
   * 
   * To be looked at first.
   * ## `"critical"`
   * 
   * To be looked at now.
   */
  export type Severity = 'informational' | 'low' | 'medium' | 'high' | 'critical';
  /**
   * The Traffic Light Protocol 2.0: with whom this may be shared.
   * # Variants
   * 
   * ## `"clear"`
   * 
   * With everyone.
   * ## `"green"`
   * 
   * Within the community.
   * ## `"amber"`
   * 
   * Within the organisation and its clients, as needed.
   * ## `"amber-strict"`
   * 
   * Within the organisation only.
   * ## `"red"`
   * 
   * With nobody but the recipients.
   */
  export type Tlp = 'clear' | 'green' | 'amber' | 'amber-strict' | 'red';
  /**
   * Whether the vendor holds the matter open.
   * # Variants
   * 
   * ## `"open"`
   * 
   * It is open, or open again.
   * ## `"resolved"`
   * 
   * The vendor closed, fixed or dismissed it.
   */
  export type State = 'open' | 'resolved';
  /**
   * Something seen that can be looked up or blocked: an address, a hash, a mailbox.
   */
  export interface Observable {
    /**
     * What it is, in `[a-z0-9_-]`: TheHive's names (`ip`, `domain`, `fqdn`, `hostname`, `url`, `hash`, `filename`,
     * `mail`, `mail-subject`, `user-agent`, `registry`, `regexp`, `uri_path`, `autonomous-system`, `other`) and
     * `user-account`, `mac`, `cve`. Other names are allowed.
     */
    dataType: string,
    /**
     * The value itself; not empty.
     */
    value: string,
    /**
     * What it has to do with the incident, in a few words.
     */
    message?: string,
    /**
     * Labels of this observable.
     */
    tags: Array<string>,
    /**
     * True when the vendor holds it malicious by itself, not merely involved.
     */
    ioc: boolean,
  }
  /**
   * A MITRE ATT&CK technique or tactic.
   */
  export interface Technique {
    /**
     * `T1059`, `T1059.001` or, where only the tactic is known, `TA0002`.
     */
    id: string,
    /**
     * The tactic it serves, by name or id.
     */
    tactic?: string,
  }
  /**
   * What one payload says of one incident. Whatever is none or absent leaves what is stored as it is.
   */
  export interface Incident {
    /**
     * The vendor's own stable id, 1 to 512 bytes: with the source's name the key by which later payloads find the
     * same incident.
     */
    sourceRef: string,
    /**
     * One line, 1 to 512 bytes. Without one the incident is called by its `source-ref`.
     */
    title?: string,
    /**
     * As much text as helps.
     */
    description?: string,
    /**
     * The kind of matter, e.g. `phishing`, `malware`.
     */
    category?: string,
    /**
     * The mapper's reading of the severity.
     */
    severity?: Severity,
    /**
     * The severity as the vendor wrote it. The source's `severity_mapping` reads it before `severity`.
     */
    vendorSeverity?: string,
    /**
     * Whether the vendor holds it open.
     */
    state?: State,
    /**
     * With whom it may be shared; it only ever rises.
     */
    tlp?: Tlp,
    /**
     * When it happened.
     */
    occurredAt?: Timestamp,
    /**
     * When the vendor says that this state was true; orders updates that arrive out of order.
     */
    changedAt?: Timestamp,
    /**
     * Where an analyst sees it in the vendor's console.
     */
    externalLink?: string,
    /**
     * Labels, 1 to 128 bytes each.
     */
    tags: Array<string>,
    /**
     * What was seen.
     */
    observables: Array<Observable>,
    /**
     * What the attacker did.
     */
    techniques: Array<Technique>,
    /**
     * The vendor's fields worth keeping. A value that parses as JSON is stored as JSON, any other as text.
     */
    details: Array<Field>,
  }
  /**
   * What came of a payload.
   */
  export interface Outcome {
    /**
     * What it says, incident by incident. The same `source-ref` twice merges in this order.
     */
    incidents: Array<Incident>,
    /**
     * Why parts of the payload, or all of it, rightly make no incident.
     */
    skipped: Array<string>,
    /**
     * Parts that should have made an incident and could not: the event is kept as `partial`.
     */
    problems: Array<string>,
  }
  /**
   * Why a payload could not be mapped at all. The text is shown to the sender: say what was expected.
   */
  export type MappingError =
    | {
      /**
       * It is not what its kind promises: broken JSON, a missing id.
       */
      tag: 'malformed',
      val: string,
    }
    | {
      /**
       * It is of a kind that this mapper does not know. Where a source has several mappers, the next one is tried.
       */
      tag: 'unsupported',
      val: string,
    };
  /**
   * How a plugin introduces itself. The plugin's name in the host is its file's name.
   */
  export interface Description {
    /**
     * A name for people.
     */
    name: string,
    /**
     * The plugin's own version.
     */
    version: string,
    /**
     * One sentence on what it does.
     */
    summary: string,
    /**
     * Of a mapper: the signature scheme that this vendor uses, offered to whoever registers a source; never used
     * silently.
     */
    scheme?: string,
  }
  /**
   * Where the work on an incident stands.
   * # Variants
   * 
   * ## `"new"`
   * 
   * Nobody has looked at it.
   * ## `"triaged"`
   * 
   * It was looked at and judged.
   * ## `"in-progress"`
   * 
   * Somebody works on it.
   * ## `"escalated"`
   * 
   * It was handed to others.
   * ## `"resolved"`
   * 
   * It is over.
   * ## `"false-positive"`
   * 
   * There was nothing to it.
   * ## `"closed"`
   * 
   * Nothing more will be done.
   */
  export type Status = 'new' | 'triaged' | 'in-progress' | 'escalated' | 'resolved' | 'false-positive' | 'closed';
  /**
   * What somebody wrote on an incident.
   */
  export interface Note {
    /**
     * When, as RFC 3339 in UTC.
     */
    at: string,
    /**
     * Who: the name of a token, or `playbook NAME`.
     */
    by: string,
    /**
     * What.
     */
    text: string,
  }
  /**
   * An incident as the host has it. Times are RFC 3339 in UTC.
   */
  export interface StoredIncident {
    /**
     * The host's id, a UUID in its usual text form.
     */
    id: string,
    /**
     * The host's number, such as `INC-2026-0001`.
     */
    number: string,
    /**
     * The name of the source that it comes from.
     */
    source: string,
    /**
     * The vendor's own id.
     */
    sourceRef: string,
    /**
     * One line.
     */
    title: string,
    /**
     * As much text as the mapper had.
     */
    description?: string,
    /**
     * The kind of matter.
     */
    category?: string,
    /**
     * How bad it is.
     */
    severity: Severity,
    /**
     * Where the work on it stands.
     */
    status: Status,
    /**
     * Who works on it.
     */
    assignee?: string,
    /**
     * With whom it may be shared.
     */
    tlp?: Tlp,
    /**
     * When it happened.
     */
    occurredAt?: string,
    /**
     * Where an analyst sees it in the vendor's console.
     */
    externalLink?: string,
    /**
     * Its labels.
     */
    tags: Array<string>,
    /**
     * What was seen.
     */
    observables: Array<Observable>,
    /**
     * What the attacker did.
     */
    techniques: Array<Technique>,
    /**
     * The vendor's fields that the mapper kept: texts as they are, everything else as JSON.
     */
    details: Array<Field>,
    /**
     * What was written on it, the oldest first.
     */
    notes: Array<Note>,
    /**
     * How many events spoke of it.
     */
    occurrences: bigint,
    /**
     * When the host made it.
     */
    createdAt: string,
    /**
     * When it changed last.
     */
    updatedAt: string,
  }
  /**
   * What a playbook wants done. All actions of one call are done in their order and in one transaction, or none.
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
       * Sets who works on it, 1 to 128 bytes.
       */
      tag: 'set-assignee',
      val: string,
    }
    | {
      /**
       * Adds a label, 1 to 128 bytes, unless it is there.
       */
      tag: 'add-tag',
      val: string,
    }
    | {
      /**
       * Adds an observable, or to one that is there what is new of it.
       */
      tag: 'add-observable',
      val: Observable,
    }
    | {
      /**
       * Adds a note, 1 byte to 16 KiB, unless this playbook wrote the same before.
       */
      tag: 'add-note',
      val: string,
    }
    | {
      /**
       * Has the destination of this name told of what these actions changed, even when they change nothing else.
       */
      tag: 'notify',
      val: string,
    };
  /**
   * What was done to an incident.
   * # Variants
   * 
   * ## `"creation"`
   * 
   * It was made.
   * ## `"update"`
   * 
   * It was changed.
   * ## `"delete"`
   * 
   * It was removed.
   */
  export type Operation = 'creation' | 'update' | 'delete';
  /**
   * An audit entry on its way to a destination.
   */
  export interface Notification {
    /**
     * The host's id of this delivery, a UUID: the same in every attempt.
     */
    id: string,
    /**
     * The name of the destination.
     */
    destination: string,
    /**
     * What was done.
     */
    operation: Operation,
    /**
     * When, in milliseconds since the Unix epoch.
     */
    at: bigint,
    /**
     * The request that did it: an event's id, or that of a call of the API.
     */
    requestId: string,
    /**
     * The attributes that were set or changed: texts as they are, everything else as JSON.
     */
    changes: Array<Field>,
    /**
     * The incident after the operation.
     */
    incident: StoredIncident,
    /**
     * The whole entry as JSON, as a destination without a notifier gets it.
     */
    entry: string,
  }
  /**
   * A request that the host makes for a notifier. The host adds `webhook-id`, `webhook-timestamp` and, where the
   * destination has a secret, `webhook-signature` over the body.
   */
  export interface HttpRequest {
    /**
     * `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
     */
    method: string,
    /**
     * Where to, at most 4096 bytes: a URL of the same scheme, host and port as the destination's, or a path, which is
     * read as a link on it. None is the destination's URL.
     */
    url?: string,
    /**
     * At most 50 headers with 16 KiB in all. `content-type` is `application/json` unless it is here. Headers that the
     * host or the connection sets are refused.
     */
    headers: Array<Field>,
    /**
     * The body, byte for byte.
     */
    body: Uint8Array,
  }
}
