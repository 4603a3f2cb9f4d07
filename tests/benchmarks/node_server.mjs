// The baselines on node: `node node_server.mjs ws|socket.io PORT FOLDER`. GET /send sends one message to all clients.
import http from "node:http";
import { createRequire } from "node:module";

const [, , kind, port, folder] = process.argv;
const require = createRequire(`${folder}/`);
const message = JSON.stringify({ type: "changes", topic: "entries.1", padding: "x".repeat(180) });
let broadcast = () => {};

const server = http.createServer((request, response) => {
  if (request.url === "/send") broadcast();
  response.writeHead(204, { Connection: "close" }).end();
});
if (kind === "ws") {
  const { WebSocketServer } = require("ws");
  const sockets = new WebSocketServer({ server });
  broadcast = () => {
    for (const socket of sockets.clients) socket.send(message);
  };
} else {
  const { Server } = require("socket.io");
  const sockets = new Server(server);
  sockets.on("connection", (socket) => socket.join("everyone"));
  broadcast = () => sockets.to("everyone").emit("changes", message);
}
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
