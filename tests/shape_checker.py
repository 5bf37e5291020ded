"""The type checker that the import hook puts on every function: as beartype's, with ints where floats are taken."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
