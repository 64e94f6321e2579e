#!/bin/sh
# An MCP server over stdio that costs next to nothing, so that hundreds of them fit on a small machine. Its tool
# "tick" waits for "seconds" and answers "PID COUNT TAG". It knows only what load_client.py writes.
count=0

# value NAME LINE: the string or number after "NAME": where it stands first
value() {
    found=${2#*\""$1"\":}
    found=${found#\"}
    found=${found%%[\",\}]*}
}

while IFS= read -r line; do
    value id "$line"
    id=$found
    case $line in
    *'"method":"initialize"'*)
        printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},' "$id"
        printf '"serverInfo":{"name":"ticker","version":"1"}}}\n' ;;
    *'"method":"tools/call"'*)
        count=$((count + 1))
        value seconds "$line"
        [ "$found" = 0 ] || sleep "$found"
        value tag "$line"
        printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s %s %s"}]}}\n' \
            "$id" "$$" "$count" "$found" ;;
    *'"id":'*)
        printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}\n' "$id" ;;
    esac
done
