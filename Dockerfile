# Build: dependencies, then the program. Nothing of it but dist/ and production modules goes on.
# The Node that package.json pins. A digest as well: --build-arg NODE_IMAGE=node@sha256:...
ARG NODE_IMAGE=node:24.21.0-bookworm-slim
FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev

FROM ${NODE_IMAGE}
ENV NODE_ENV=production COUNTERSIGN_DATA=/data
WORKDIR /app
COPY --from=build /src/package.json /src/LICENSE /src/countersign.schema.json ./
COPY --from=build /src/bin ./bin
COPY --from=build /src/dist ./dist
COPY --from=build /src/node_modules ./node_modules
RUN ln -s /app/bin/countersign.mjs /usr/local/bin/countersign \
  && install -d -o node -g node -m 0700 /data
USER node
VOLUME /data
EXPOSE 8443 8080
# Loopback is in the service's own certificate; --data names the root that proves it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "require('https').get({host:'localhost',port:8443,path:'/readyz',ca:require('fs').readFileSync('/data/root.crt')},r=>process.exit(r.statusCode===200?0:1)).on('error',()=>process.exit(1))"]
ENTRYPOINT ["countersign"]
CMD ["serve"]
