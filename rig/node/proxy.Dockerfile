# kube-proxy calls nft and conntrack.
ARG BASE
FROM ${BASE}
COPY kube-proxy /usr/local/bin/kube-proxy
