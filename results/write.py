"""Keep the records of measured studies, and write README.md's block and results/README.md from them.

python results/write.py                                       write both from the records that are kept
python results/write.py keep STUDY NAME [--against ARTICLE]   first keep a study's records as results/NAME
python results/write.py merge STUDY … --out STUDY             join slices of one study, then `keep` it
python results/write.py picture [NAME]                        draw docs/report.png, the report of results/NAME
"""

import argparse
import sys
from pathlib import Path

from foveate.errors import RequestError, WorkError
from foveate.files import write_text
from foveate.notation import count
from keep import ROOT, keep_results
from merge import merge_slices
from pages import documents
from picture import draw_report


def main() -> None:
    """Keep or join studies if asked to, then write both documents."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command")
    keep = commands.add_parser("keep", help="keep a study's records")
    keep.add_argument("study", type=Path)
    keep.add_argument("name")
    keep.add_argument("--against", help="dmsca-article or sgfa-article")
    merge = commands.add_parser("merge", help="join slices of one study")
    merge.add_argument("studies", type=Path, nargs="+")
    merge.add_argument("--out", type=Path, required=True)
    picture = commands.add_parser("picture", help="draw docs/report.png of a study that is kept")
    picture.add_argument("name", nargs="?", default="digits")
    given = parser.parse_args()
    try:
        if given.command == "merge":
            finished, runs = merge_slices(given.studies, given.out)
            print(f"{given.out}: {finished} of {count(runs, 'run')} are finished")
            return
        if given.command == "picture":
            print(draw_report(given.name).relative_to(ROOT))
            return
        if given.command == "keep":
            print(keep_results(given.study, given.name, given.against))
        for path, text in documents().items():
            write_text(path, text)
            print(path.relative_to(ROOT))
    except (RequestError, WorkError) as error:
        sys.exit(f"results: {error}")


if __name__ == "__main__":
    main()
