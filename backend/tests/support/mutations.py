"""Broken reports: real ones of every format, cut, doubled, swapped and bent by chance."""

from __future__ import annotations

import json
import random
from pathlib import Path

__all__ = ["broken", "seeds"]

_DATA = Path(__file__).resolve().parents[1] / "data"
_PIECES = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b'"',
    b"\\",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"-1e999",
    b"9" * 300,
    b"<!DOCTYPE x [<!ENTITY y 'z'>]>",
    b"&y;",
    b"</",
    b"|",
    b"\n\n# ",
    b"\n- [ ] ",
    b"**",
    b"`",
    b"```\n",
    b"[x](y",
    b"\r\n",
    "\u0915\u094d\u2028\U0001f534".encode(),
)

_SMALL = {
    "sarif": {
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "T", "rules": [{"id": "R", "help": {"text": "Severity: High"}}]}},
                "results": [
                    {
                        "ruleId": "R",
                        "ruleIndex": 0,
                        "message": {"text": "m {0}", "arguments": ["a"]},
                        "locations": [
                            {"physicalLocation": {"artifactLocation": {"uri": "a.py", "index": 0}}}
                        ],
                        "suppressions": [{"status": "accepted"}],
                    }
                ],
                "artifacts": [{"location": {"uri": "b.py"}}],
            }
        ],
    },
    "npm": {
        "auditReportVersion": 2,
        "vulnerabilities": {
            "a": {"severity": "high", "via": [{"title": "t", "url": "u"}, "b"], "nodes": ["n"]}
        },
        "metadata": {"vulnerabilities": {"total": 1}},
    },
    "zap": {
        "@programName": "ZAP",
        "site": [{"@name": "s", "alerts": [{"name": "n", "riskcode": "2", "instances": [{"uri": "u"}]}]}],
    },
    "findings": {"findings": [{"title": "t", "severity": "high", "file": "f", "line": 3, "cwe": 79}]},
}
_TABLE = b'title,severity,file\nOne,high,a.py\n"Two, too",low,b.py\n'
_LINKS = (
    "Getting links from: https://a.test/\n├─BROKEN─ https://a.test/x (HTTP_404)\n"
    "Finished! 1 links found. 0 excluded. 1 broken.\n"
).encode()
_XML = (
    b'<?xml version="1.0"?><OWASPZAPReport><site name="https://a.test"><alerts><alertitem><pluginid>1</pluginid>'
    b"<name>n</name><riskcode>3</riskcode><instances><instance><uri>u</uri></instance></instances></alertitem></alerts>"
    b"</site></OWASPZAPReport>"
)


def seeds() -> list[bytes]:
    """Give reports of every format, the larger ones cut short."""
    files = [*sorted((_DATA / "reports").glob("*.json")), *sorted((_DATA / "markdown").glob("*.md"))]
    written = [json.dumps(report).encode() for report in _SMALL.values()]
    return [*written, _TABLE, _LINKS, _XML, *(file.read_bytes()[:20_000] for file in files)]


def broken(report: bytes, chance: random.Random) -> bytes:
    """Bend a report in one to six places."""
    data = bytearray(report)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(data) + 1)
        length = chance.choice((0, 1, 4, 40, 400))
        match chance.randrange(7):
            case 0:
                data[place : place + length] = b""
            case 1:
                data[place:place] = chance.choice(_PIECES)
            case 2:
                data[place:place] = data[place : place + length] * chance.randint(1, 5)
            case 3 if place < len(data):
                data[place] = chance.randrange(256)
            case 4:
                del data[place:]
            case 5:
                other = chance.randrange(len(data) + 1)
                data[place : place + length] = data[other : other + length]
            case _:
                data[place : place + length] = chance.choice(_PIECES)
        if not data:
            data += b"{"
    return bytes(data[:60_000])
