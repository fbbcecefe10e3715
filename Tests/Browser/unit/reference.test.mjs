import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { fieldsOf, kindOf, matches, resolved, routesOf } from "../../../Web/docs/reference.js";

const description = JSON.parse(readFileSync(new URL("../../../Web/openapi.json", import.meta.url), "utf8"));
const routes = routesOf(description);

test("every route of the description has a place of its own and a sentence", () => {
  const described = Object.values(description.paths).flatMap((methods) => Object.keys(methods)
    .filter((key) => key !== "parameters"));
  assert.equal(routes.length, described.length);
  assert.equal(new Set(routes.map((route) => route.id)).size, routes.length);
  for (const route of routes) assert.ok(route.summary.endsWith("."), `${route.method} ${route.path}`);
});

test("every answer of a route with a body says what is in it", () => {
  for (const route of routes) {
    for (const { type, kind } of route.answers.flatMap((answer) => answer.bodies)) {
      assert.ok(type.includes("/") && kind !== "anything", `${route.method} ${route.path}: ${type} is ${kind}`);
    }
  }
});

test("a login shows what it takes, what it gives, and that everybody may", () => {
  const login = routes.find((route) => route.path === "/api/auth/login");
  assert.equal(login.isOpen, true);
  assert.deepEqual(login.bodies[0].fields.map((field) => field.name), ["user_id", "password"]);
  assert.ok(login.answers.some((answer) => answer.status === "200" && answer.bodies[0].kind === "SignIn"));
  assert.equal(routes.find((route) => route.path === "/api/auth/me").isOpen, false);
});

test("kinds are said in words", () => {
  assert.equal(kindOf({ type: "string", format: "uuid" }, {}), "string (uuid)");
  assert.equal(kindOf({ type: "array", items: { type: "integer" } }, {}), "list of integer");
  assert.equal(kindOf({ anyOf: [{ type: "string" }, { type: "null" }] }, {}), "string or null");
  assert.equal(kindOf({ enum: ["a", "b"] }, {}), '"a", "b"');
  assert.equal(kindOf({ $ref: "#/components/schemas/User" }, description), "User");
});

test("a description that refers to itself ends all the same", () => {
  const loop = { components: { schemas: { Tree: { type: "object", properties: {
    branches: { type: "array", items: { $ref: "#/components/schemas/Tree" } } } } } } };
  const rows = fieldsOf({ $ref: "#/components/schemas/Tree" }, loop);
  assert.equal(rows.length, 4);
  const self = { a: { $ref: "#/a" } };
  assert.ok(resolved({ $ref: "#/a" }, self));
});

test("words find a route in any order", () => {
  const route = { method: "POST", path: "/api/seats/lock", tag: "seats", summary: "Holds seats.", about: "" };
  assert.ok(matches(route, "lock post"));
  assert.ok(matches(route, ""));
  assert.ok(!matches(route, "lock get"));
});
