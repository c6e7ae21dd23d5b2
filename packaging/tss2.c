/*
 * libtss2 when a TPM is first used, not whenever omens starts. The dynamic linker would load it, and the libcrypto behind it, in every
 * process: a sixth of the time of a run with nothing due, and 2.5 MB, also on hosts whose keys are files. systemd loads it in the same way.
 *
 * omens has no unsafe code, and this adds none to what it does: each function below has the name and the arguments of one of libtss2
 * (TCG TSS 2.0 ESAPI, TCTI and Marshaling specifications) and passes them on to it unread. tss-esapi calls these because the linker finds
 * them first. A function that is missing here is linked as ever, which brings the whole library back at the start: a test says so.
 *
 * Everything that is asked of a TPM needs a context, and the only way to one is Tss2_TctiLdr_Initialize. So that loads, and the functions
 * that take a context are only jumps. Marshaling needs no context and loads by itself.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <tss2/tss2_common.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

/* What stays inside the program: no library finds these instead of its own. */
#define INSIDE __attribute__((visibility("hidden")))

#define EACH_OF_ESYS(F) \
    F(Esys_ActivateCredential) F(Esys_Certify) F(Esys_Create) F(Esys_CreatePrimary) F(Esys_EvictControl) F(Esys_Finalize) \
    F(Esys_FlushContext) F(Esys_GetCapability) F(Esys_Initialize) F(Esys_Load) F(Esys_NV_DefineSpace) F(Esys_NV_Read) F(Esys_NV_ReadPublic) \
    F(Esys_PCR_Read) F(Esys_PolicyPCR) F(Esys_PolicyRestart) F(Esys_PolicySecret) F(Esys_Quote) F(Esys_ReadPublic) F(Esys_Sign) \
    F(Esys_StartAuthSession) F(Esys_TRSess_SetAttributes) F(Esys_TR_Close) F(Esys_TR_FromTPMPublic) F(Esys_TR_GetName) F(Esys_Unseal)

/* A jump to where the pointer of the same name leads: arguments and the result stay where the ABI has them. */
#if defined(__x86_64__)
#define JUMP(name) "\tendbr64\n\tjmp *omens_" #name "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(name) "\thint #34\n\tadrp x16, omens_" #name "\n\tldr x16, [x16, :lo12:omens_" #name "]\n\tbr x16\n"
#else
#error "packaging/build.rs builds this for x86-64 and aarch64"
#endif

#define FUNCTION(name) \
    INSIDE void *omens_##name; \
    __asm__(".pushsection .text.tss2." #name ",\"ax\",%progbits\n" \
            "\t.balign 16\n\t.globl " #name "\n\t.hidden " #name "\n\t.type " #name ", %function\n" \
            #name ":\n" JUMP(name) "\t.size " #name ", . - " #name "\n\t.popsection\n");
EACH_OF_ESYS(FUNCTION)

/* One thread loads at a time. What is missing may be there at the next run of a process that goes on: it is looked for again. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

/* Said on stderr, as libtss2 does: no response code has room for it. */
static void *told(void *found)
{
    const char *why = found == NULL ? dlerror() : NULL;
    if (why != NULL)
        fprintf(stderr, "omens: %s\n", why);
    return found;
}

static bool find(void *library, const char *name, void **function)
{
    return library != NULL && (*function = told(dlsym(library, name))) != NULL;
}

static void *initialize, *finalize;

static bool load(void)
{
    static bool is_loaded;
    pthread_mutex_lock(&loading);
    if (!is_loaded) {
        void *loader = told(dlopen("libtss2-tctildr.so.0", RTLD_NOW | RTLD_LOCAL));
        void *esys = told(dlopen("libtss2-esys.so.0", RTLD_NOW | RTLD_LOCAL));
#define FOUND(name) &&find(esys, #name, &omens_##name)
        is_loaded = find(loader, "Tss2_TctiLdr_Initialize", &initialize) && find(loader, "Tss2_TctiLdr_Finalize", &finalize)
            EACH_OF_ESYS(FOUND);
    }
    bool done = is_loaded;
    pthread_mutex_unlock(&loading);
    return done;
}

/* TSS2_TCTI_RC_NOT_IMPLEMENTED where the libraries are not there, or too old: nothing else says that of opening (src/io/tpm/open.rs). */
INSIDE TSS2_RC Tss2_TctiLdr_Initialize(const char *conf, TSS2_TCTI_CONTEXT **context)
{
    return load() ? ((TSS2_RC(*)(const char *, TSS2_TCTI_CONTEXT **))initialize)(conf, context) : TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

/* Of a context that came from above: where nothing was loaded there is none. */
INSIDE void Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **context)
{
    if (context != NULL && *context != NULL)
        ((void (*)(TSS2_TCTI_CONTEXT **))finalize)(context);
}

#define EACH_OF_MU(F) F(TPMS_ATTEST) F(TPMT_PUBLIC) F(TPMT_SIGNATURE)

#define POINTERS(type) static void *marshal_##type, *unmarshal_##type;
EACH_OF_MU(POINTERS)

static bool load_mu(void)
{
    static bool is_loaded;
    pthread_mutex_lock(&loading);
    if (!is_loaded) {
        void *mu = told(dlopen("libtss2-mu.so.0", RTLD_NOW | RTLD_LOCAL));
#define BOTH(type) \
    &&find(mu, "Tss2_MU_" #type "_Marshal", &marshal_##type) && find(mu, "Tss2_MU_" #type "_Unmarshal", &unmarshal_##type)
        is_loaded = mu != NULL EACH_OF_MU(BOTH);
    }
    bool done = is_loaded;
    pthread_mutex_unlock(&loading);
    return done;
}

#define MARSHALING(type) \
    INSIDE TSS2_RC Tss2_MU_##type##_Marshal(type const *src, uint8_t buffer[], size_t size, size_t *offset) \
    { \
        typedef TSS2_RC (*function)(type const *, uint8_t[], size_t, size_t *); \
        return load_mu() ? ((function)marshal_##type)(src, buffer, size, offset) : TSS2_MU_RC_GENERAL_FAILURE; \
    } \
    INSIDE TSS2_RC Tss2_MU_##type##_Unmarshal(uint8_t const buffer[], size_t size, size_t *offset, type *dest) \
    { \
        typedef TSS2_RC (*function)(uint8_t const[], size_t, size_t *, type *); \
        return load_mu() ? ((function)unmarshal_##type)(buffer, size, offset, dest) : TSS2_MU_RC_GENERAL_FAILURE; \
    }
EACH_OF_MU(MARSHALING)
