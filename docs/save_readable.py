"""Copies the rows of a damaged database that can be read into a new one: save_readable.py DAMAGED NEW

SQLite ends a query at the first damaged page. This reads each table by its keys, and continues after each damaged page.
"""

import sqlite3
import sys

MAX = 2**63 - 1
damaged = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
damaged.text_factory = lambda text: text.decode(errors="replace")
new = sqlite3.connect(sys.argv[2])


def copy(table, key, rest):
    """Copies rows up to the first that cannot be read. Returns whether there is none, and the last key."""
    last = None
    try:
        for last, *row in damaged.execute(f"SELECT {key}, * FROM {table} {rest}"):
            new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    except sqlite3.DatabaseError:
        return False, last
    return True, last


def is_readable(table, after):
    """Returns whether there is a row after a key that can be read, or none at all."""
    try:
        damaged.execute(f"SELECT * FROM {table} WHERE rowid > {after} ORDER BY rowid LIMIT 1").fetchone()
    except sqlite3.DatabaseError:
        return False
    return True


def copy_by_rowid(table):
    """Copies the rows in the order of their keys, without those on damaged pages."""
    is_done, last = copy(table, "rowid", "ORDER BY rowid")
    after = last or 0
    while not is_done:
        low, step = after, 0
        while not is_readable(table, after + step):
            low, step = after + step, step * 2 or 1
            if after + step > MAX:
                return
        high = after + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if is_readable(table, middle) else (middle, high)
        # One row alone, because the module reads a row ahead.
        last = copy(table, "rowid", f"WHERE rowid > {high} ORDER BY rowid LIMIT 1")[1] or high
        is_done, later = copy(table, "rowid", f"WHERE rowid > {last} ORDER BY rowid")
        after = later or last


def copy_from_both_ends(table):
    keys = [name for _, name, _, _, _, place in damaged.execute(f"PRAGMA table_info({table})") if place]
    if not copy(table, "0", "ORDER BY " + ", ".join(keys))[0]:
        copy(table, "0", "ORDER BY " + ", ".join(f"{key} DESC" for key in keys))


schema = damaged.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql NOT NULL").fetchall()
tables = {name: sql for kind, name, sql in schema if kind == "table" and not name.startswith("sqlite_")}
for sql in tables.values():
    # SQLite makes the tables below a virtual table itself.
    new.execute(sql.replace("CREATE TABLE '", "CREATE TABLE IF NOT EXISTS '"))
for table, sql in tables.items():
    if sql.startswith("CREATE VIRTUAL"):
        continue
    new.execute(f"DELETE FROM {table}")
    if "WITHOUT ROWID" in sql:
        copy_from_both_ends(table)
    else:
        copy_by_rowid(table)
    print(f"{table}: {new.execute(f'SELECT count(*) FROM {table}').fetchone()[0]} rows")
for sql in [sql for kind, _, sql in schema if kind == "index"]:
    new.execute(sql)
new.execute(f"PRAGMA user_version = {damaged.execute('PRAGMA user_version').fetchone()[0]}")
new.commit()
