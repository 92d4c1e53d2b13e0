# The images: app (the default), nginx and identity; `docker build --target nginx .`. docs/image.md has the rest.
# No `# syntax=` line: it would be one more image to pull, and nothing here needs a newer frontend than the engine's own.
ARG PYTHON_IMAGE=python:3.13-slim-trixie
ARG NGINX_IMAGE=nginxinc/nginx-unprivileged:1.29
ARG NODE_IMAGE=node:24-trixie-slim


# The locked packages, from wheels alone: nothing is compiled, hence no compiler.
FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/app && python -m venv /opt/pip
COPY requirements/app.txt /opt/
# An index of one's own, with its credentials: `--secret id=pip,src=pip.conf`.
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/pip/bin/pip --python /opt/app/bin/python install --no-compile --only-binary :all: --require-hashes \
    --requirement /opt/app.txt
# Bytecode that is not compared with its source's time, and one time for every file: the same lock makes the same layer.
RUN python -m compileall -q -j 1 --invalidation-mode unchecked-hash /opt/app/lib \
    && find /opt/app -exec touch --no-dereference --date=@0 {} +


FROM ${PYTHON_IMAGE} AS code
COPY app /srv/app
# Whatever umask the checkout was made with.
RUN python -m compileall -q -j 1 --invalidation-mode unchecked-hash /srv/app && chmod -R u=rwX,go=rX /srv/app
# Only if it is given: a browser compares a style sheet's time, and no two releases may have the same.
ARG SOURCE_DATE_EPOCH
RUN [ -z "$SOURCE_DATE_EPOCH" ] || find /srv -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +


FROM ${NGINX_IMAGE} AS nginx-files
# Of this stage only files are left.
# hadolint ignore=DL3002
USER 0
COPY nginx /srv/nginx
ARG SOURCE_DATE_EPOCH
RUN chmod -R u=rwX,go=rX /srv/nginx && find /srv/nginx -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +


FROM ${NGINX_IMAGE} AS nginx
USER 0
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=nginx-files /srv/nginx /srv/nginx
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
WORKDIR /srv/identity
COPY deploy/identity/package.json deploy/identity/package-lock.json deploy/identity/.npmrc ./
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npm,target=/root/.npmrc npm ci --omit=dev
COPY deploy/identity ./
ARG SOURCE_DATE_EPOCH
RUN rm .npmrc && chmod -R u=rwX,go=rX . \
    && find /srv/identity -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +


# The local identity provider: for demonstrations and tests, its users and passwords are public.
FROM ${NODE_IMAGE} AS identity
RUN rm -r /usr/local/lib/node_modules && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=identity-files /srv/identity /srv/identity
ENV NODE_ENV=production IDENTITY_HOST=0.0.0.0 IDENTITY_CONFIG=/srv/identity/identity.json
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


FROM ${PYTHON_IMAGE} AS app
# Nobody becomes root in here, installs anything or writes outside of /tmp. Folders that this touches get a fixed time.
RUN touch /dev/shm/start \
    && find / -xdev \( -name pip -o -name 'pip-*' -o -name 'pip3*' -o -name ensurepip \) -prune -exec rm -r {} + \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && find / -xdev -type d -perm -0002 ! -path /tmp ! -path '/dev*' -exec chmod o-w {} + \
    && find / -xdev -type d -newer /dev/shm/start ! -path '/dev*' -exec touch --date=@0 {} +
COPY --from=packages /opt/app /opt/app
COPY --from=code /srv /srv
ENV PATH=/opt/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1
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
