/* A Varlink service with small limits in a child process, and clients for it. */
#pragma once

#include "common/varlink_client.h"

#include <sys/types.h>

#define MESSAGE_MAX 4096
#define STREAM_MAX (64 * 1024)
#define REPLY_MAX (256 * 1024)
#define CLIENTS_MAX 4 /* one of these for privileged users alone */

struct fixture {
        char dir[64], path[96];
        pid_t pid;
};

int service_setup(void **state);
int service_teardown(void **state);

struct varlink_client *client_new(struct fixture *f);

/* A socket for bytes that no well-behaved client sends. */
int raw_new(struct fixture *f);
void raw_send(int fd, const char *text, size_t size);

/* One message, or "" at the end of the connection. */
const char *raw_receive(int fd, char *text, size_t size);

#define SEND(fd, text) raw_send((fd), (text), sizeof(text))
#define EXPECT(fd, wanted)                                                          \
        do {                                                                        \
                char _text[4096];                                                   \
                assert_string_equal(raw_receive((fd), _text, sizeof(_text)), wanted); \
        } while (0)

/* {name: value}, good for one call. */
struct json_writer *int_object(const char *name, int64_t value);

/* The member "number" of an answer that is not an error. */
int64_t answer_int(const struct varlink_answer *answer);

/* Asks until the service has noticed n cancelled calls; every answer is an event of its loop. */
void wait_cancelled(struct fixture *f, int n);

#define WITH_SERVICE(test) cmocka_unit_test_setup_teardown(test, service_setup, service_teardown)
