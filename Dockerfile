# One image with the three programs: producer, consumer, millrace. `docker build .` makes it; docker-compose.yml says how
# the parts are run.

FROM rust:1-slim-trixie AS builder
WORKDIR /src
# Dependencies first, with empty sources in place of ours: this layer stays as it is until a manifest changes.
COPY Cargo.toml Cargo.lock ./
COPY common/Cargo.toml common/
COPY producer/Cargo.toml producer/
COPY ledger/Cargo.toml ledger/
COPY consumer/Cargo.toml consumer/
COPY sandbox/Cargo.toml sandbox/
COPY cli/Cargo.toml cli/
RUN for member in common producer ledger consumer sandbox cli; do mkdir $member/src && touch $member/src/lib.rs; done \
 && for member in producer consumer cli; do echo 'fn main() {}' >$member/src/main.rs; done \
 && cargo build --release --locked \
 && cargo clean --release -p common -p producer -p ledger -p consumer -p sandbox -p cli
COPY sql sql
COPY common common
COPY producer producer
COPY ledger ledger
COPY consumer consumer
COPY sandbox sandbox
COPY cli cli
RUN cargo build --release --locked


# The end-to-end tests of a running stack, for `docker compose run test`.
FROM builder AS tester
COPY nats.conf ./
RUN cargo test --release --locked -p cli --test it --no-run \
 && find target/release/deps -name 'it-*' -type f -executable -exec cp {} /usr/local/bin/stack-tests ';'

FROM debian:trixie-slim AS test
COPY --from=tester /usr/local/bin/stack-tests /usr/local/bin/
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["stack-tests", "--ignored", "--test-threads=1"]
CMD ["stack::"]


FROM debian:trixie-slim AS runtime
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /app --shell /usr/sbin/nologin millrace \
 && install --directory --owner millrace --group millrace /app /app/data
# For brokers that are reached by TLS.
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=builder /src/target/release/producer /src/target/release/consumer /src/target/release/millrace \
     /usr/local/bin/
WORKDIR /app
# By number, so that it can be seen from outside that this is not root.
USER 10001:10001
# Each program drains at the first SIGTERM; none needs a shell or an init above it.
STOPSIGNAL SIGTERM
# Only one of them runs in a container; each says who it is.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD producer health || consumer health
ENTRYPOINT ["millrace"]
CMD ["--help"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Millrace" \
      org.opencontainers.image.description="CSV files of events go in, rows in PostgreSQL come out, each exactly once" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
