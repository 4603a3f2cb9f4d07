// Validate the AsyncAPI document named by the first argument, with the parser in the folder named by the second.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Parser } = createRequire(`${process.argv[3]}/`)("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const { severity, code, message, path } of diagnostics) console.log(severity, code, message, path.join("."));
process.exit(document === undefined ? 1 : 0);
