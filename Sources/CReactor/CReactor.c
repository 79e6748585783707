#include "CReactor.h"
