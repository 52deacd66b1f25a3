# kube-proxy calls iptables-restore and conntrack.
ARG BASE
FROM ${BASE}
COPY kube-proxy /usr/local/bin/kube-proxy
