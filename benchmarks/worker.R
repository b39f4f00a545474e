# lme4's counterpart of worker.py: same protocol ("ready", then one line of JSON), same definition of the clock.
# The first argument is the package, lme4 or glmmTMB; standard errors are part of what both compute.
suppressPackageStartupMessages(library(lme4))
package <- commandArgs(trailingOnly = TRUE)[1]
folder <- commandArgs(trailingOnly = TRUE)[2]
family <- readLines(file.path(folder, "family.txt"))

read_column <- function(name, kind, rows) {
  path <- file.path(folder, paste0(name, ".bin"))
  if (kind == "number") return(readBin(path, "double", rows, size = 8L, endian = "little"))
  codes <- readBin(path, "integer", rows, size = 4L, endian = "little") + 1L
  structure(codes, levels = readLines(file.path(folder, paste0(name, ".levels"))), class = "factor")
}

read_table <- function() {
  kinds <- read.delim(file.path(folder, "columns.tsv"), header = FALSE, colClasses = "character")
  size <- ifelse(kinds$V2[1] == "number", 8L, 4L)
  rows <- file.size(file.path(folder, paste0(kinds$V1[1], ".bin"))) / size
  columns <- Map(read_column, kinds$V1, kinds$V2, rows)
  names(columns) <- kinds$V1
  as.data.frame(columns)
}

memory_mb <- function(key) {
  line <- grep(paste0("^", key, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

timed <- function(fit) {
  before <- proc.time()
  fitted <- suppressWarnings(suppressMessages(fit()))
  spent <- proc.time() - before
  list(fitted = fitted, cpu = sum(spent[c("user.self", "sys.self")]))
}

# proc.time() ticks in milliseconds, too coarse for the small cases: the wall is Sys.time()'s.
clocked <- function(fit) {
  before <- Sys.time()
  out <- timed(fit)
  out$wall <- as.numeric(difftime(Sys.time(), before, units = "secs"))
  out
}

fitter <- function(model, frame) {
  if (family == "gaussian") return(lmer(model, frame))
  if (package == "lme4") return(glmer(model, frame, family))
  glmmTMB::glmmTMB(model, frame, family)
}
# A fit that has no likelihood, as glmmTMB's singular ones, is written as JSON's NaN.
criterion <- function(fitted) {
  found <- if (family == "gaussian") REMLcrit(fitted) else -2 * as.numeric(logLik(fitted))
  if (is.na(found)) "NaN" else sprintf("%.17g", found)
}
evaluations <- function(fitted) as.integer(if (package == "lme4") fitted@optinfo$feval else sum(fitted$fit$evaluations))

warm <- sleepstudy
if (family != "gaussian") warm$Reaction <- as.numeric(warm$Reaction > 300)
invisible(suppressWarnings(suppressMessages(fitter(if (family == "gaussian") Reaction ~ Days + (Days | Subject) else Reaction ~ Days + (1 | Subject), warm))))
frame <- read_table()
model <- as.formula(readLines(file.path(folder, "formula.txt")))
fit <- function() fitter(model, frame)

invisible(gc(full = TRUE))
try(writeLines("5", "/proc/self/clear_refs"), silent = TRUE)
before <- memory_mb("VmRSS")
cat("ready\n"); flush(stdout())
first <- clocked(fit)
peak <- memory_mb("VmHWM")

wall <- cpu <- numeric(0)
while (first$wall < 1 && sum(wall) < 1 && length(wall) < 50) {
  once <- clocked(fit)
  wall <- c(wall, once$wall)
  cpu <- c(cpu, once$cpu)
}
if (!length(wall)) {
  wall <- first$wall
  cpu <- first$cpu
}

cat(sprintf(
  paste0('{"seconds": %.9g, "cpu_seconds": %.9g, "first_seconds": %.9g, "n_timed": %d, "peak_mb": %.6g, ',
         '"peak_above_mb": %.6g, "criterion": %s, "evaluations": %d}\n'),
  median(wall), mean(cpu), first$wall, length(wall), peak, peak - before, criterion(first$fitted), evaluations(first$fitted)))
