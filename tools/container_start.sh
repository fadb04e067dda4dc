#!/bin/sh
# How a container of the course begins. The samples of the image are linked into the learner's folder for data, which
# may be on a disk that outlives the container; then the command that was asked for runs: JupyterHub's or Binder's.
# Without one: for JupyterHub if it has sent its token, else JupyterLab for one learner.
# What cannot be written stops nothing: the samples are then drawn where they are first used, or the reason is said.
set -u
samples=${COURSE_SAMPLES:-/opt/course_lib/samples}/data
data=${COURSE_LIB_HOME:-$HOME/.course_lib}/data
chapters=$HOME/course

mkdir -p "$data" && for sample in "$samples"/*/; do
    name=$(basename "$sample")
    if [ -L "$data/$name" ] || [ ! -e "$data/$name" ]; then # not one that was drawn there
        ln -sfn "$samples/$name" "$data/$name" && cp -f "$samples/.$name.source" "$data/"
    fi
done

if [ $# -eq 0 ] && [ -z "${JUPYTERHUB_API_TOKEN:-}" ]; then
    exec course_lab "$chapters" --ip=0.0.0.0 --port=8888
fi
course_lab --prepare "$chapters"
if [ $# -eq 0 ]; then set -- jupyterhub-singleuser; fi
export JUPYTERHUB_DEFAULT_URL="${JUPYTERHUB_DEFAULT_URL:-/lab/tree/course/index.ipynb}"
exec "$@"
