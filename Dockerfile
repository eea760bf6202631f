# SPDX-License-Identifier: Apache-2.0
# docker build -t nigh .      Build and tests first; what remains is the program, the
# libraries that it is linked with, and no shell.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
	gcc libc6-dev meson ninja-build pkg-config libevent-dev libcjson-dev \
	libcurl4-openssl-dev libssl-dev libyaml-dev libseccomp-dev node-llhttp libcriterion-dev \
	python3 python3-pytest python3-yaml
COPY . /src
WORKDIR /src
RUN meson setup /build && ninja -C /build && meson test -C /build --print-errorlogs
# Those that need loopback and nothing else of the network: no DNS, no rights.
RUN NIGH=/build/nigh python3 -m pytest -q -p no:cacheprovider tests/e2e/test_smoke.py \
	tests/e2e/test_commands.py tests/e2e/test_http_forward.py \
	tests/e2e/test_recycle.py tests/e2e/test_drain.py tests/e2e/test_manifests.py
# glibc asks the DNS before /etc/hosts when there is no nsswitch.conf. The last line runs
# the program as a container will: nothing is there but what was copied.
RUN mkdir -p /image/usr/local/bin && cp /build/nigh /image/usr/local/bin/ && \
	ldd /build/nigh | grep -o '/lib[^ ]*' | xargs cp -L --parents -t /image && \
	cp --parents -t /image /etc/nsswitch.conf && \
	chroot --userspec=65532:65532 /image /usr/local/bin/nigh --version

FROM scratch
COPY --from=build /image /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/nigh"]
