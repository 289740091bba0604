"""Where the Pulumi engine of the sandbox comes from: found, downloaded or, as the last resort, built.

`find` decides, `download` and `build` obtain, `tools` sets up what one sandbox runs; `language_host` is the program
that a built engine lacks. `find`, `build` and `versions` need nothing but the standard library, so that they can run
while the virtualenv is still being filled.
"""
