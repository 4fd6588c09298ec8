"""Writes `docs/torture.md` from the table that the torture tests read:

python tests/sip/torture_table.py > docs/torture.md
"""

from __future__ import annotations

import csv
from pathlib import Path

TABLE = Path(__file__).parent / "torture" / "expected.tsv"
INTRO = """# The torture messages of RFC 4475

Each of the 49 messages goes through the whole user agent in `tests/sip/test_torture.py`, once as the trunk's
and once as a stranger's (who never gets an answer). "Answer" is what the tests assert: a status, or that the
message is dropped. What the messages that parse mean is asserted there too, and for a 400 that its reason
says what is wrong.

| Message | Section | What the RFC asks of an endpoint | Answer | Why so |
|---|---|---|---|---|
"""


def page() -> str:
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return INTRO + "".join(
        "| {message} | {section} | {expected} | {answer} | {why} |\n".format(
            **{name: (value or "").replace("|", "\\|") for name, value in row.items()},
            answer="dropped" if row["ours"] == "-" else row["ours"],
        )
        for row in rows
    )


if __name__ == "__main__":
    print(page(), end="")
