"""The article's headline numbers (claims C09 to C18) beside what the model finds, one row a number.

Nothing here is measured on this machine: numbers are counted from the operators of real PyTorch modules, modelled from
data sheets, read off data sheets, or cited. A claim that does not hold is shown as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # beside this script, coverage.py would hide a package


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claim", help="only this claim, for example C13")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()

    from teachkit.errors import TeachkitError
    from teachkit.model.headline_claims import CLAIMS, findings_of

    wanted = [options.claim] if options.claim else list(CLAIMS)
    try:
        bar = track(wanted, "claims", console=Console(stderr=True), transient=True)
        findings = [finding for claim in bar for finding in findings_of(claim)]
    except TeachkitError as error:
        parser.error(str(error))
    table = Table(title="claimed / found here")
    for column in ("claim", "quantity", "claimed", "found", "", "provenance", "note"):
        table.add_column(column, justify="right" if column in ("claimed", "found") else "left")
    for finding in findings:
        verdict = "holds" if finding.holds else "does not"
        cells = (finding.claimed, f"{finding.found:.4g}", verdict, finding.provenance, finding.note)
        table.add_row(finding.claim, finding.quantity, *cells)
    Console(width=200).print(table)
    n_holding = sum(finding.holds for finding in findings)
    print(f"{n_holding} of {len(findings)} numbers lie in the claimed range")
    if options.json:
        summary = {"holding": n_holding, "total": len(findings)}
        print(json.dumps({"rows": [finding.to_dict() for finding in findings], "summary": summary}))


if __name__ == "__main__":
    main()
