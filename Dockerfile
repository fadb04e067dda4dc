# The course in a container: for JupyterHub, for Binder (which finds this file by itself), or for one learner.
#
#   docker build -t course_lib .
#   docker run --rm -p 8888:8888 course_lib     prints the address to open
#
# JupyterHub: give the image's name to DockerSpawner or KubeSpawner, and say JUPYTERHUB="jupyterhub==<that of the hub>".
# All that is needed is in the image, the drawn samples too: a container starts without the internet.
FROM python:3.11-slim-bookworm

ARG NB_USER=jovyan
ARG NB_UID=1000
# The address of PyTorch's index of CPU builds (its page "Get Started" has it), for an image without the gigabytes for
# graphics cards; empty: the build that pip finds
ARG TORCH_INDEX=
ARG JUPYTERHUB="jupyterhub>=5,<7"

ENV HOME=/home/${NB_USER} COURSE_SAMPLES=/opt/course_lib/samples
RUN useradd --create-home --uid "${NB_UID}" --shell /bin/bash "${NB_USER}"

WORKDIR /opt/course_lib/source
COPY . .
# The exact versions of requirements.txt, of what learners need; then what JupyterLab shall not ask
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} \
        --constraint requirements.txt '.[lab,app]' "${JUPYTERHUB}" \
    && python tools/env.py --settings-only \
    && install -m 755 tools/container_start.sh /usr/local/bin/course_start \
    && COURSE_LIB_HOME="${COURSE_SAMPLES}" course_samples

USER ${NB_UID}
WORKDIR ${HOME}
EXPOSE 8888
ENTRYPOINT ["course_start"]
