/* Whose a listening socket is: before the first byte goes to a port, the worker makes sure that the
 * listener behind it belongs to its own backend and not to a neighbour that took the address. */
#pragma once

#include "common/macro.h"

#include <sys/types.h>

/* Inode numbers of the TCP sockets (IPv4 and IPv6) that listen on port, asked by sock_diag(7); at
 * most n_max are written to inodes. Returns how many there are. */
int socket_listeners(uint16_t port, uint64_t *inodes, size_t n_max);

/* True when root or one of its descendants has a socket with this inode open. */
bool socket_is_held_by_tree(uint64_t inode, pid_t root);

/* 1: every listener on port belongs to the tree below root; 0: nobody listens yet; -EADDRINUSE:
 * somebody else does; other negative errno. */
int socket_check_port(uint16_t port, pid_t root);
