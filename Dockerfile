FROM node:24-bookworm-slim AS build
WORKDIR /service
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY .swcrc tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN node scripts/build.js

FROM node:24-bookworm-slim AS dependencies
WORKDIR /service
COPY package.json package-lock.json .npmrc ./
# The last three are optional peers, for MESH_TRANSPORT.
RUN npm ci --omit=dev \
  && npm install --no-save --omit=dev @nestjs/microservices@12 @nats-io/transport-node@3 @nats-io/jetstream@3 \
  && npm cache clean --force

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
WORKDIR /service
COPY --from=dependencies /service/node_modules ./node_modules
COPY --from=build /service/dist ./dist
COPY package.json ./
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# No npm in between: the process itself gets the signals.
CMD ["node", "dist/main.js"]
