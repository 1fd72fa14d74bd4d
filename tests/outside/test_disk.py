"""What survives a power cut, which no test can make: the calls that ask for it, as strace sees them."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from conftest import HOOKMILL, TARGET, eventually

CALLS = "rename,renameat,renameat2,fsync,fdatasync"


def test_a_file_and_its_folder_are_synced_when_it_gets_its_name(tmp_path):
    (tmp_path / "plugins").mkdir(mode=0o700)
    shutil.copy(TARGET / "plugins" / "generic.wasm", tmp_path / "plugins")
    (tmp_path / "hookmill.yaml").write_text("listen: 127.0.0.1:0\n")
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o", trace, HOOKMILL, "serve"]
    host = subprocess.Popen(strace, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        eventually("the plugin is kept", lambda: list((tmp_path / "data").glob("versions/generic@*.wasm")))
    finally:
        os.killpg(host.pid, signal.SIGTERM)
        host.wait(timeout=60)

    renamed, by_thread = set(), {}
    for line in trace.read_text().splitlines():
        thread, call = line.split(maxsplit=1)
        by_thread.setdefault(thread, []).append(call)
    for calls in by_thread.values():
        # Another thread may interrupt a call: its end is on a line of its own, and the next call of the thread after it.
        calls = [call for call in calls if not call.startswith(("<...", "---", "+++"))]
        for index, call in enumerate(calls):
            if not (names := re.match(r'rename\w*\(.*?"([^"]+)".*"([^"]+)"', call)):
                continue
            temporary, name = (tmp_path / text for text in names.groups())
            before, after = calls[index - 1], calls[index + 1]
            assert re.match(rf"f\w*sync\(\d+<{re.escape(str(temporary))}>", before), (before, call)
            assert re.match(rf"f\w*sync\(\d+<{re.escape(str(name.parent))}>", after), (call, after)
            renamed.add(Path(name).relative_to(tmp_path / "data").parts[0])
    assert renamed == {"store.mark", "secret.key", "compiled", "versions"}
