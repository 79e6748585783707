/* The libc that Embedded Swift cannot import by itself. */
#ifndef CPLUGINKIT_H
#define CPLUGINKIT_H
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#endif
