"""Reads a live stream with OpenCTI's own client, as its connectors do, and writes each message as a line."""

import json
import sys

from pycti import OpenCTIConnectorHelper

config, path = sys.argv[1:]
with open(path, "w") as lines:

    def write(message):
        lines.write(json.dumps([message.id, message.event, message.data]) + "\n")
        lines.flush()

    OpenCTIConnectorHelper(json.loads(config)).listen_stream(write).join()
