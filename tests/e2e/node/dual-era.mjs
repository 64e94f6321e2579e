// A stdio server on the npm SDK that speaks both eras.
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

serveStdio(() => {
    const server = new McpServer({ name: 'dual-era', version: '1.0.0' }, { capabilities: { tools: {} } });
    server.registerTool('pid', { description: 'The process that answers' },
        () => ({ content: [{ type: 'text', text: String(process.pid) }] }));
    return server;
});
