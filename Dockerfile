# The images: app (the default), nginx and identity; `docker build --target nginx .`. docs/image.md has the rest.
# No `# syntax=` line: it would be one more image to pull, and nothing here needs a newer frontend than the engine's own.
#
# Each is put together from nothing: the base's files without what is not needed at run time (deploy/image/system.sh), then
# ours. So no layer holds pip or a set-uid program, and the same files make the same layers, down to the byte.
ARG PYTHON_IMAGE=python:3.13.15-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285
ARG NGINX_IMAGE=nginxinc/nginx-unprivileged:1.30.5@sha256:d715f7a85cdfea820fec743ea5aee8a22f91e00ff310ad6275d2638112d8cf8d
ARG NODE_IMAGE=node:24.21.0-trixie-slim@sha256:8ec5d7557396cfe32d21c3f9c13072355ceab22b584578ca4bb28af31120cffe


FROM ${NGINX_IMAGE} AS nginx-files
# Of this stage only files are left.
# hadolint ignore=DL3002
USER 0
COPY deploy/image/system.sh /tmp/
RUN /tmp/system.sh
COPY nginx /files/srv/nginx
# Whatever umask the checkout was made with, and whenever.
RUN chmod -R u=rwX,go=rX /files && find /files -exec touch -h -d @0 {} +


FROM scratch AS nginx
COPY --from=nginx-files /system /
COPY --from=nginx-files /files /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# The same user as the app's, so that the two can share a unix socket.
USER 65532:65532
WORKDIR /srv/nginx
EXPOSE 8080 8443
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["sh", "-c", "exec curl --fail --silent --show-error --output /dev/null http://127.0.0.1:${NGINX_STATUS_PORT:-8081}/status"]
ENTRYPOINT ["/srv/nginx/start.sh"]
ARG NGINX_IMAGE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="auth0-flask-nginx" \
    org.opencontainers.image.description="The TLS terminator in front of auth0-flask" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="$NGINX_IMAGE" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"


FROM ${NODE_IMAGE} AS identity-files
COPY deploy/image/system.sh /tmp/
RUN /tmp/system.sh npm npx corepack 'yarn*'
WORKDIR /files/srv/identity
COPY deploy/identity/package.json deploy/identity/package-lock.json deploy/identity/.npmrc ./
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npm,target=/root/.npmrc npm ci --omit=dev
COPY deploy/identity ./
RUN rm .npmrc && chmod -R u=rwX,go=rX /files && find /files -exec touch -h -d @0 {} +


# The local identity provider: for demonstrations and tests, its users and passwords are public.
FROM scratch AS identity
COPY --from=identity-files /system /
COPY --from=identity-files /files /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_ENV=production \
    IDENTITY_HOST=0.0.0.0 IDENTITY_CONFIG=/srv/identity/identity.json
WORKDIR /srv/identity
USER 65532:65532
EXPOSE 9443
# It asks itself, so there is nobody to verify.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["node", "-e", "require('https').get({ port: process.env.IDENTITY_PORT || 9443, path: '/healthz', rejectUnauthorized: false }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', ({ message }) => { console.error(message); process.exit(1) })"]
ENTRYPOINT ["node", "server.mjs"]
ARG NODE_IMAGE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="auth0-flask-identity" \
    org.opencontainers.image.description="Local OpenID provider with Auth0's face, not for production" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="$NODE_IMAGE" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"


FROM ${PYTHON_IMAGE} AS system
COPY deploy/image/system.sh /tmp/
RUN /tmp/system.sh ensurepip pip 'pip3*' 'pip-*'
# Python's official image comes without its library's bytecode: on a read-only root every start, each health check's too,
# would compile it again.
RUN python -m compileall -q -j 1 --invalidation-mode unchecked-hash -s /system \
        "/system$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && find /system -newer /tmp/start -exec touch -h -d @0 {} +


# The locked packages, from wheels alone: nothing is compiled, hence no compiler.
FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /pip
COPY requirements/app.txt /
# An index of one's own, with its credentials: `--secret id=pip,src=pip.conf`. Bytecode that is not compared with its
# source's time, and one time for every file.
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m venv --without-pip /opt/app \
    && /pip/bin/pip --python /opt/app/bin/python install --no-compile --only-binary :all: --require-hashes \
        --requirement /app.txt \
    && python -m compileall -q -j 1 --invalidation-mode unchecked-hash /opt/app/lib \
    && mkdir /files && mv /opt /files/ && find /files -exec touch -h -d @0 {} +


FROM ${PYTHON_IMAGE} AS code
COPY app /files/srv/app
RUN python -m compileall -q -j 1 --invalidation-mode unchecked-hash -s /files /files && chmod -R u=rwX,go=rX /files
# A browser compares a style sheet's time, so releases must not have the same: they give theirs, others keep the files'. The
# build's cache does not look at times, hence a file that says it.
ARG SOURCE_DATE_EPOCH
RUN [ -z "$SOURCE_DATE_EPOCH" ] || { echo "$SOURCE_DATE_EPOCH" >/files/srv/SOURCE_DATE_EPOCH \
    && find /files -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }


FROM scratch AS app
COPY --from=system /system /
COPY --from=packages /files /
COPY --from=code /files /
ENV PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
USER 65532:65532
EXPOSE 8000 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-m", "app", "health"]
CMD ["gunicorn", "--config", "app/server/gunicorn.conf.py", "app.server.main:app"]
ARG PYTHON_IMAGE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="auth0-flask" \
    org.opencontainers.image.description="Flask with Auth0 login under gunicorn" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="$PYTHON_IMAGE" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
