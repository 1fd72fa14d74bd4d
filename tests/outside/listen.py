"""Listens to a live stream with OpenCTI's own client, as its connectors do, and writes what they are told: a line each."""

import json
import sys

from pycti import OpenCTIConnectorHelper

config, path = sys.argv[1:]
with open(path, "w") as lines:

    def told(message):
        lines.write(json.dumps([message.id, message.event, message.data]) + "\n")
        lines.flush()

    OpenCTIConnectorHelper(json.loads(config)).listen_stream(told).join()
