// Evaluates lines of {"expression", "variables", "states"} with jsonata-js, the reference engine.
// Each answer is {"value": ...}, or {} where there is none: an error, or nothing found.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const jsonata = createRequire(`${process.argv[2]}/`)("jsonata");

for await (const line of createInterface({ input: process.stdin })) {
  const { expression, variables, states } = JSON.parse(line);
  let answer = {};
  try {
    const compiled = jsonata(expression);
    // What Step Functions adds to JSONata and the state machines use.
    compiled.registerFunction("parse", (text) => JSON.parse(text), "<s:x>");
    compiled.registerFunction("uuid", () => "a-uuid");
    const value = await compiled.evaluate(undefined, { ...variables, states });
    if (value !== undefined) answer = { value };
  } catch {
    answer = {};
  }
  console.log(JSON.stringify(answer));
}
