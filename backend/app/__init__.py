"""The marketplace's backend, as far as this project is concerned: the Post-Audit Protocol."""
