#!/usr/bin/env bash
# Makes the peers' environments: R's lme4, mlmRev and glmmTMB (through apt, where that is possible) and virtual
# environments in benchmarks/peers/ (or $INTERLACE_PEERS). interlace's own environment is not touched.
# What cannot be installed is named and left out: the benchmark runs with whatever is there.
set -u
here=$(cd "$(dirname "$0")" && pwd)
peers=${INTERLACE_PEERS:-$here/peers}
python=${PYTHON:-python3}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_r() {
    Rscript -e 'stopifnot(requireNamespace("lme4"), requireNamespace("mlmRev"), requireNamespace("glmmTMB"))' >/dev/null 2>&1 && return 0
    command -v apt-get >/dev/null || return 1
    as_root apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends \
            r-base-core r-cran-lme4 r-cran-mlmrev r-cran-glmmtmb libopenblas0 libsuitesparse-dev >/dev/null
}

install_python() { # folder, requirements
    "$python" -m venv "$peers/$1" && "$peers/$1/bin/python" -m pip install -q -r "$here/$2"
}

install_r || echo "lme4 and glmmTMB are left out: R, r-cran-lme4, r-cran-mlmrev and r-cran-glmmtmb could not be installed"
install_python shared peers-requirements.txt || echo "mixedlm, lme-python and mixedlm-rs may be missing"
install_python interlace-lme interlace-lme-requirements.txt || echo "interlace-lme is left out"
install_python glmm glmm-requirements.txt || echo "glmm is left out"
install_python gpboost gpboost-requirements.txt || echo "GPBoost is left out"
