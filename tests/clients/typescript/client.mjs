// One claim of test_typescript.py: node client.mjs <url> <key> <claim>, and what came of it as JSON.
import * as clients from "@restatedev/restate-sdk-clients";

const [url, key, claim] = process.argv.slice(2);
const ingress = clients.connect({ url, retry: true });
const { rpc } = clients;

const greeter = ingress.serviceClient({ name: "Greeter" });
const counter = (key) => ingress.objectClient({ name: "Counter" }, key);
const sending = (key) => ingress.objectSendClient({ name: "Counter" }, key);
const approval = ingress.workflowClient({ name: "Approval" }, key);
const question = ingress.workflowClient({ name: "Question" }, key);
// For handlers without input: the client's JSON would announce a body, and send none.
const nothing = rpc.opts({ input: clients.serde.empty });
const once = (extra = {}) => ({ idempotencyKey: "once", ...extra });

async function failure(work) {
  try {
    return { came: await work };
  } catch (error) {
    return { status: error.status, body: JSON.parse(error.responseText) };
  }
}

const claims = {
  call: () => greeter.greet("Ada"),
  emptyCall: async () => (await greeter.ping(nothing)) ?? null,
  header: () => greeter.header("x-order", rpc.opts({ headers: { "x-order": "7" } })),
  genericCall: () => ingress.call({ service: "Counter", handler: "add", key, parameter: 3 }),

  async send() {
    const sent = await sending(key).add(3, rpc.sendOpts(once()));
    return { status: sent.status, result: await ingress.result(sent) };
  },
  async delayedSend() {
    const sent = await sending(key).add(3, rpc.sendOpts(once({ delay: { milliseconds: 300 } })));
    return { before: await counter(key).read(nothing), result: await ingress.result(sent) };
  },
  async idempotency() {
    const add = () => counter(key).add(3, rpc.opts(once()));
    return [await add(), await add(), (await sending(key).add(3, rpc.sendOpts(once()))).status];
  },
  async keys() {
    const keys = ["a/b", "a b", "50%", "what?", "#1", "käse", "☃", "+", "(x)!*'", "a:b@c,d;e", "%2F"];
    const seen = await Promise.all(keys.map((key) => counter(key).key(nothing)));
    return keys.filter((key, place) => seen[place] !== key);
  },
  async workflow() {
    const submitted = await approval.workflowSubmit("order 1");
    const early = await approval.workflowOutput();
    const again = await approval.workflowSubmit("order 1");
    await approval.decide("yes");
    const attached = await approval.workflowAttach();
    const late = await approval.workflowOutput();
    const refused = await failure(approval.run("order 1"));
    return {
      statuses: [submitted.status, again.status],
      one: submitted.invocationId === again.invocationId,
      ready: [early.ready, late.ready],
      results: [attached, late.result, await ingress.result(submitted)],
      refused: refused.status,
    };
  },
  async resolve() {
    const submitted = await question.workflowSubmit(nothing);
    await ingress.resolveAwakeable(await question.awakeable(nothing), { x: 1 });
    return ingress.result(submitted);
  },
  async reject() {
    const submitted = await question.workflowSubmit(nothing);
    await ingress.rejectAwakeable(await question.awakeable(nothing), "näh");
    return failure(ingress.result(submitted));
  },
  terminalError: () => failure(greeter.fail(418)),
  // A 5xx of the invocation is an answer: with an idempotency key it would be sent again otherwise.
  terminalServerError: () => failure(greeter.fail(503, rpc.opts(once()))),
  unknownService: () => failure(ingress.serviceClient({ name: "Nope" }).greet("Ada")),
};

console.log(JSON.stringify(await claims[claim]()));
