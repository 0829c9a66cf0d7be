"""Where the records of a study lie: a folder, a shared file system, or an object store behind a URL.

`Storage` is the one interface: read, write whole, create only if absent, list, delete. A `Lease` keeps two
processes, on one machine or on several, from doing the same work. A `Mirror` is the local working copy of a
study that lies behind a URL; `local_folder` opens either.
"""

from foveate.extras import check_bench

check_bench(__name__)
