#include "worker/socket_owner.h"

#include "common/fd.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#define LISTENERS_MAX 16
#define TREE_MAX 4096
#define CHILDREN_BYTES_MAX (1024 * 1024)

static int diag_request(int fd, uint8_t family)
{
        struct {
                struct nlmsghdr header;
                struct inet_diag_req_v2 body;
        } request = {
                .header = {
                        .nlmsg_len = sizeof(request),
                        .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                },
                .body = {
                        .sdiag_family = family,
                        .sdiag_protocol = IPPROTO_TCP,
                        .idiag_states = 1U << TCP_LISTEN,
                },
        };

        return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* Reads a whole dump; adds the listeners on port behind *n. */
static int diag_collect(int fd, uint16_t port, uint64_t *inodes, size_t n_max, size_t *n)
{
        _Alignas(struct nlmsghdr) char buf[32 * 1024];

        for (;;) {
                ssize_t size = recv(fd, buf, sizeof(buf), 0);

                if (size < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                unsigned left = (unsigned) size;

                for (const struct nlmsghdr *h = (const void *) buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                        if (h->nlmsg_type == NLMSG_DONE)
                                return 0;
                        if (h->nlmsg_type == NLMSG_ERROR)
                                return -EOPNOTSUPP;
                        const struct inet_diag_msg *message = NLMSG_DATA(h);

                        if (ntohs(message->id.idiag_sport) == port && *n < n_max)
                                inodes[(*n)++] = message->idiag_inode;
                }
        }
}

int socket_listeners(uint16_t port, uint64_t *inodes, size_t n_max)
{
        _cleanup_fd_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        size_t n = 0;

        if (fd < 0)
                return -errno;
        for (size_t i = 0; i < 2; i++) {
                int r = diag_request(fd, i == 0 ? AF_INET : AF_INET6);

                if (r >= 0)
                        r = diag_collect(fd, port, inodes, n_max, &n);
                if (r < 0)
                        return r;
        }
        return (int) n;
}

static bool process_holds_socket(pid_t pid, uint64_t inode)
{
        char path[64], wanted[64], link[64];
        bool holds = false;

        (void) snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        (void) snprintf(wanted, sizeof(wanted), "socket:[%llu]", (unsigned long long) inode);
        DIR *dir = opendir(path);

        if (!dir)
                return false;
        for (struct dirent *de; !holds && (de = readdir(dir));) {
                ssize_t n = readlinkat(dirfd(dir), de->d_name, link, sizeof(link) - 1);

                if (n > 0) {
                        link[n] = '\0';
                        holds = streq(link, wanted);
                }
        }
        closedir(dir);
        return holds;
}

/* Appends the children of pid (of every thread's making) to tree. */
static void append_children(pid_t pid, pid_t *tree, size_t *n)
{
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/task", pid);
        DIR *dir = opendir(path);

        if (!dir)
                return;
        for (struct dirent *de; (de = readdir(dir));) {
                _cleanup_free_ char *text = NULL;
                char file[300];

                (void) snprintf(file, sizeof(file), "%s/children", de->d_name);
                if (de->d_name[0] == '.' || fd_read_file_at(dirfd(dir), file, CHILDREN_BYTES_MAX, &text, NULL) < 0)
                        continue;
                for (char *p = text, *end; *n < TREE_MAX; p = end) {
                        long child = strtol(p, &end, 10);

                        if (end == p)
                                break;
                        tree[(*n)++] = (pid_t) child;
                }
        }
        closedir(dir);
}

bool socket_is_held_by_tree(uint64_t inode, pid_t root)
{
        _cleanup_free_ pid_t *tree = calloc(TREE_MAX, sizeof(*tree));
        size_t n = 0;

        if (!tree)
                return false;
        tree[n++] = root;
        for (size_t i = 0; i < n; i++) {
                if (process_holds_socket(tree[i], inode))
                        return true;
                append_children(tree[i], tree, &n);
        }
        return false;
}

int socket_check_port(uint16_t port, pid_t root)
{
        uint64_t inodes[LISTENERS_MAX];
        int n = socket_listeners(port, inodes, LISTENERS_MAX);

        for (int i = 0; i < n; i++)
                if (!socket_is_held_by_tree(inodes[i], root))
                        return -EADDRINUSE;
        return n > 0 ? 1 : n;
}
