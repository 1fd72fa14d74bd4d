// A mapper in C. A payload `acme:ID` is one incident with the id ID.

#include "mapper_plugin.h"
#include <stdlib.h>
#include <string.h>

typedef exports_hookmill_plugin_mapper_description_t description_t;
typedef exports_hookmill_plugin_mapper_event_t event_t;
typedef exports_hookmill_plugin_mapper_mapping_error_t mapping_error_t;
typedef exports_hookmill_plugin_mapper_outcome_t outcome_t;
typedef hookmill_plugin_types_incident_t incident_t;

static const char PREFIX[] = "acme:";

void exports_hookmill_plugin_mapper_describe(description_t *description) {
  *description = (description_t){0};
  mapper_plugin_string_dup(&description->name, "Acme in C");
  mapper_plugin_string_dup(&description->version, "0.1.0");
  mapper_plugin_string_dup(&description->summary, "Alerts of Acme's sensor");
}

// Returns false to report an error. The generated code frees the results, so every text is a copy.
bool exports_hookmill_plugin_mapper_to_incidents(event_t *event, outcome_t *outcome, mapping_error_t *error) {
  size_t prefix = strlen(PREFIX);
  size_t length = event->body.len - prefix;
  if (event->body.len <= prefix || memcmp(event->body.ptr, PREFIX, prefix) != 0) {
    error->tag = HOOKMILL_PLUGIN_TYPES_MAPPING_ERROR_UNSUPPORTED;
    mapper_plugin_string_dup(&error->val.unsupported, "expected a payload that begins with `acme:`");
    return false;
  }
  incident_t *incident = calloc(1, sizeof *incident);
  incident->source_ref.ptr = malloc(length);
  incident->source_ref.len = length;
  memcpy(incident->source_ref.ptr, event->body.ptr + prefix, length);
  incident->severity.is_some = true;
  incident->severity.val = HOOKMILL_PLUGIN_TYPES_SEVERITY_HIGH;
  *outcome = (outcome_t){.incidents = {incident, 1}};
  return true;
}
