#!/usr/bin/env bash
# Write beside every R script here what R prints for it: the pages of the documentation include both.
set -euo pipefail
cd "$(dirname "$0")"
for script in *.R; do
    R_DEFAULT_PACKAGES="datasets,utils,grDevices,graphics,stats,methods" Rscript --vanilla "$script" \
        > "${script%.R}.txt" 2> /dev/null
done
Rscript --vanilla -e 'cat(R.version.string, "\n"); for (p in c("lme4", "lmerTest", "emmeans")) cat(p, as.character(packageVersion(p)), "\n")' > versions.txt
