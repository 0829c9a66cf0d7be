"""The report of a study, from its records alone: a page, tables and figures, and the words for a terminal.

Nothing is drawn here: drawing takes heavy libraries, which only `foveate.report.study.build` needs.
"""

from foveate.extras import check_bench

check_bench(__name__)
