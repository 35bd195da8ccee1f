// A job board: Express, node-postgres, ioredis.
"use strict";

const express = require("express");
const { Pool } = require("pg");
const Redis = require("ioredis");
const fs = require("node:fs");

const pool = new Pool({
  connectionString: process.env.DATABASE_URL,
  max: 10,
  connectionTimeoutMillis: 500,
  query_timeout: 2500,
  idleTimeoutMillis: 30000,
});
pool.on("error", (error) => console.error("an idle connection was lost:", error.message));

const cache = new Redis(process.env.REDIS_URL, {
  tls: { ca: fs.readFileSync(process.env.REDIS_CA_FILE) },
  connectTimeout: 1000,
  commandTimeout: 500,
  maxRetriesPerRequest: 1,
  // An increment whose answer was lost is not sent again.
  autoResendUnfulfilledCommands: false,
  // A demoted primary keeps its connections: a new one reaches its successor.
  reconnectOnError: (error) => error.message.startsWith("READONLY"),
});
cache.on("error", (error) => console.error("cache:", error.message));

const LIST = (where) => `
SELECT j.id, j.title, j.region, o.name AS organisation
FROM jobs j JOIN organisations o ON o.id = j.organisation_id ${where}
ORDER BY j.id DESC LIMIT $1`;
const SHOW = `
SELECT j.id, j.title, j.region, o.name AS organisation
FROM jobs j JOIN organisations o ON o.id = j.organisation_id WHERE j.id = $1`;
const CREATE = `
INSERT INTO jobs (organisation_id, title, region, idempotency_key) VALUES ($1, $2, $3, $4)
ON CONFLICT (idempotency_key) DO UPDATE SET idempotency_key = excluded.idempotency_key RETURNING id`;

const app = express();
app.use(express.json());

app.get("/jobs", async (request, response) => {
  const values = [Math.min(Number(request.query.limit) || 50, 100)];
  const where = [];
  for (const name of ["region", "title"]) {
    if (request.query[name] !== undefined) where.push(`j.${name} = $${values.push(request.query[name])}`);
  }
  const { rows } = await pool.query(LIST(where.length ? `WHERE ${where.join(" AND ")}` : ""), values);
  response.json({ jobs: rows });
});

app.get("/jobs/:id", async (request, response, next) => {
  if (!/^\d{1,18}$/.test(request.params.id)) return next();
  const key = `job:${request.params.id}`;
  const kept = await cache.get(key).catch(() => null);
  if (kept) return response.type("json").send(kept);
  const job = await shared(key, () => load(key, request.params.id));
  if (!job) return response.status(404).json({ error: "there is no such job" });
  response.json(job);
});

async function load(key, id) {
  const { rows } = await pool.query(SHOW, [id]);
  if (rows.length) await cache.set(key, JSON.stringify(rows[0]), "EX", 30).catch(() => null);
  return rows[0];
}

// Who asks for the same at the same time shares one load.
const loads = new Map();
function shared(key, work) {
  if (!loads.has(key)) loads.set(key, work().finally(() => loads.delete(key)));
  return loads.get(key);
}

app.post("/jobs", async (request, response) => {
  const { title, organisation_id, region = "" } = request.body ?? {};
  if (!title || !organisation_id) {
    return response.status(422).json({ error: "title and organisation_id are needed" });
  }
  const values = [organisation_id, title, region, request.get("Idempotency-Key")];
  const { rows } = await pool.query(CREATE, values);
  response.status(201).json(rows[0]);
});

app.post("/jobs/:id/views", async (request, response) => {
  response.status(201).json({ views: await cache.incr(`views:${request.params.id}`) });
});

app.get("/jobs/:id/views", async (request, response) => {
  response.json({ views: Number(await cache.get(`views:${request.params.id}`)) });
});

app.get("/health/live", (request, response) => response.json({ status: "ok" }));

app.get("/health/ready", async (request, response) => {
  await pool.query("SELECT 1");
  response.json({ status: "ok" });
});

app.use((request, response) => response.status(404).json({ error: "there is no such thing" }));

app.use((error, request, response, next) => {
  if (error.status) return response.status(error.status).json({ error: error.message });
  console.error("unavailable:", error.message);
  response.status(503).set("Retry-After", "1").json({ error: "unavailable" });
});

const server = app.listen(Number(process.env.PORT), "127.0.0.1");
process.on("SIGTERM", () => server.close(async () => {
  await pool.end();
  cache.disconnect();
}));
