#!/usr/bin/env bash
# The life of a certificate with openssl and curl alone: enrol, look, check, renew, revoke.
# Usage: examples/curl.sh [data folder] [URL]   (needs a running service: npm start)
set -eu
data=${1:-data}
url=${2:-https://localhost:8443}
countersign="node $(dirname "$0")/../bin/countersign.mjs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "1. a key and a request"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/app.key" -out "$work/app.csr" \
  -subj "/C=IN/ST=Karnataka/O=Example/CN=app" -addext "subjectAltName=DNS:app.example.test" 2>/dev/null

echo "2. a one-time token, and what the request would become"
token=$($countersign token --data "$data" --profile peer --cn app --san dns:app.example.test)
curl -sS --fail-with-body --cacert "$data/root.crt" -H "Authorization: Bearer $token" \
  --data-binary @"$work/app.csr" "$url/v1/certificates/check" | head -c 300 && echo " …"

echo "3. the certificate"
curl -sS --fail-with-body --cacert "$data/root.crt" -H "Authorization: Bearer $token" \
  --data-binary @"$work/app.csr" "$url/v1/certificates" -o "$work/app.crt"
openssl verify -CAfile "$data/root.crt" -untrusted "$work/app.crt" "$work/app.crt"

echo "4. its renewal over mutual TLS: same key, no token"
curl -sS --fail-with-body --cacert "$data/root.crt" --cert "$work/app.crt" --key "$work/app.key" \
  -X POST "$url/v1/certificates/renew" -o "$work/app.new.crt"
openssl x509 -in "$work/app.new.crt" -noout -serial -enddate

echo "5. both in the index"
curl -sS --fail-with-body --cacert "$data/root.crt" --cert "$work/app.crt" --key "$work/app.key" \
  -H "Accept: text/csv" "$url/v1/certificates?subject=CN%3Dapp" | cut -c1-80

echo "6. the old one revoked by its holder; from now on it is refused"
serial=$(openssl x509 -in "$work/app.crt" -noout -serial | cut -d= -f2)
curl -sS --fail-with-body --cacert "$data/root.crt" --cert "$work/app.crt" --key "$work/app.key" \
  -H "Content-Type: application/json" -d '{"reason":"superseded"}' \
  "$url/v1/certificates/$serial/revoke" -o /dev/null
curl -sS --cacert "$data/root.crt" --cert "$work/app.crt" --key "$work/app.key" \
  -X POST "$url/v1/certificates/renew" -o "$work/refused.json" -w '%{http_code}\n'
