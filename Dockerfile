# SPDX-License-Identifier: Apache-2.0
# docker build -t nigh .      Build and unit tests first; what remains is the program, the
# libraries that it is linked with, and no shell.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
	gcc libc6-dev meson ninja-build pkg-config libevent-dev libcjson-dev \
	libcurl4-openssl-dev libssl-dev libyaml-dev node-llhttp libcriterion-dev
COPY . /src
WORKDIR /src
RUN meson setup /build && ninja -C /build && meson test -C /build --print-errorlogs
# glibc asks the DNS before /etc/hosts when there is no nsswitch.conf.
RUN mkdir -p /image/usr/local/bin && cp /build/nigh /image/usr/local/bin/ && \
	ldd /build/nigh | grep -o '/lib[^ ]*' | xargs cp -L --parents -t /image && \
	cp --parents -t /image /etc/nsswitch.conf

FROM scratch
COPY --from=build /image /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/nigh"]
