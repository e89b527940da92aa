//! Compiles the C of the power cuts: a library to preload, and the program that tests it.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=power");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names a folder"));
    let compiler = cc::Build::new().opt_level(2).pic(true).warnings(true).get_compiler();
    for (source, name, shared) in
        [("power_cut.c", "power_cut.so", true), ("writer.c", "power_writer", false)]
    {
        let mut command = compiler.to_command();
        command.args(shared.then_some("-shared")).arg("-o").arg(out.join(name));
        command.arg(PathBuf::from("power").join(source)).args(["-ldl", "-pthread"]);
        let status = command.status().expect("a C compiler, as LMDB needs one");
        assert!(status.success(), "power/{source} does not compile: {status}");
    }
}
