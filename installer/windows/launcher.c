/* Starts the version that is current: reads PREFIX\current, runs that version's own Python, hands its exit code on.
   With WINDOWED there is no console, and the app's page opens: for icons and the start at log-in. */
#include <stdio.h>
#include <wchar.h>
#include <windows.h>

#define LONGEST 32767
#define DAMAGED 5

static wchar_t prefix[LONGEST], program[LONGEST], command[LONGEST];

static int fail(const wchar_t *sentence) {
#ifdef WINDOWED
    MessageBoxW(NULL, sentence, L"Fracture Edge", MB_ICONERROR);
#else
    fwprintf(stderr, L"%ls\n", sentence);
#endif
    return DAMAGED;
}

/* PREFIX\bin\fracture-edge.exe -> PREFIX */
static int find_prefix(void) {
    if (!GetModuleFileNameW(NULL, prefix, LONGEST)) return 0;
    for (int levels = 0; levels < 2; levels++) {
        wchar_t *slash = wcsrchr(prefix, L'\\');
        if (!slash) return 0;
        *slash = 0;
    }
    return 1;
}

/* The first line of PREFIX\current, in UTF-8. */
static int read_program(void) {
    wchar_t path[LONGEST];
    char line[4096];
    _snwprintf(path, LONGEST, L"%ls\\current", prefix);
    FILE *file = _wfopen(path, L"rb");
    if (!file) return 0;
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    if (!got) return 0;
    line[strcspn(line, "\r\n")] = 0;
    if (!MultiByteToWideChar(CP_UTF8, 0, line, -1, program, LONGEST)) return 0;
    for (wchar_t *at = program; *at; at++)
        if (*at == L'/') *at = L'\\';
    return 1;
}

/* What follows this program's own name on the command line, as it was typed. */
static const wchar_t *rest_of_line(void) {
    const wchar_t *at = GetCommandLineW();
    int quoted = 0;
    for (; *at && (quoted || (*at != L' ' && *at != L'\t')); at++)
        if (*at == L'"') quoted = !quoted;
    return at;
}

int wmain(void) {
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION process;
    DWORD code = 1;
    if (!find_prefix() || !read_program()) return fail(L"Fracture Edge is not installed here. Start Setup.exe from the stick.");
#ifdef WINDOWED
    const wchar_t *python = L"pythonw.exe", *words = *rest_of_line() ? rest_of_line() : L" open";
#else
    const wchar_t *python = L"python.exe", *words = rest_of_line();
#endif
    _snwprintf(command, LONGEST, L"\"%ls\\%ls\\runtime\\%ls\" -IB -m edge_app.installed%ls", prefix, program, python, words);
    if (!CreateProcessW(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &start, &process))
        return fail(L"Fracture Edge is damaged. Start Setup.exe from the stick again.");
    WaitForSingleObject(process.hProcess, INFINITE);
    GetExitCodeProcess(process.hProcess, &code);
#ifdef WINDOWED
    if (code) {
        _snwprintf(command, LONGEST, L"Fracture Edge did not start. Call IT: in a command window, \"%ls\\bin\\fracture-edge\" open says why.", prefix);
        MessageBoxW(NULL, command, L"Fracture Edge", MB_ICONERROR);
    }
#endif
    return (int)code;
}
