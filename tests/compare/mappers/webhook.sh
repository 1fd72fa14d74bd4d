#!/bin/sh
# Maps one payload, and ends when the incident is on disk.
set -eu
printf '%s' "$1" | jq -c -f "$MAPPERS/crowdstrike.jq" >>incidents.jsonl
sync -d incidents.jsonl
