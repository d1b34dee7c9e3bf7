/* The pith command. */
#include "cli/command_line.h"

int main(int argc, char **argv) {
    pith_command_line_begin();
    return pith_command_line_run(NULL, argc, argv);
}
