/* The orderly stop (SIGTERM, supervisor_stop): sessions, then routers, then files, then exit. */
#pragma once

struct supervisor;

/* Called when something that the stop waits for has ended. */
void orderly_stop_continue(struct supervisor *supervisor);
