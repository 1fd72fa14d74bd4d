"""Checks the syntax of the Python files of a project: `python3 -c` runs this script in the folder of the project."""

import ast
import pathlib
import sys
import traceback

failed = False
for file in sorted(pathlib.Path().rglob("*.py")):
    if file.parts[0] in ("sdk", "tests", "node_modules") or file.parts[0].startswith("."):
        continue
    try:
        ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        failed = True
        traceback.print_exception(SyntaxError, error, None)
sys.exit(failed)
