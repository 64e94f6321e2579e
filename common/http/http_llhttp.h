/* llhttp, whose header names its methods as ours does: its names are put out of the way. */
#pragma once

#define HTTP_DELETE LLHTTP_METHOD_DELETE
#define HTTP_GET LLHTTP_METHOD_GET
#define HTTP_HEAD LLHTTP_METHOD_HEAD
#define HTTP_OPTIONS LLHTTP_METHOD_OPTIONS
#define HTTP_PATCH LLHTTP_METHOD_PATCH
#define HTTP_POST LLHTTP_METHOD_POST
#define HTTP_PUT LLHTTP_METHOD_PUT
#include <llhttp.h>
#undef HTTP_DELETE
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_OPTIONS
#undef HTTP_PATCH
#undef HTTP_POST
#undef HTTP_PUT
