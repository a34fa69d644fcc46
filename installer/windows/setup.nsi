; The Windows installer: per user, no administrator. It asks Windows, copies into a folder of this version that
; nothing uses yet, and lets that version's own Python check, prove and switch.
Unicode true
Target amd64-unicode
; Each file by itself: NSIS holds 2 GB, and in one solid block the files' own sizes count.
SetCompressor zlib
SetDateSave off
CRCCheck force
AllowSkipFiles off
RequestExecutionLevel user
ManifestDPIAware true
Name "Fracture Edge"
OutFile "${OUT}"
InstallDir "$LOCALAPPDATA\Programs\FractureEdge"
InstallDirRegKey HKCU "Software\FractureEdge" "Prefix"
ShowInstDetails show
ShowUninstDetails show
BrandingText "Fracture Edge ${VERSION}: assistive tool, not a diagnosis"
VIProductVersion "0.0.0.0"
VIAddVersionKey "ProductName" "Fracture Edge"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "Installer of Fracture Edge"
VIAddVersionKey "LegalCopyright" "Apache-2.0"

!include MUI2.nsh
!include FileFunc.nsh
!include LogicLib.nsh
!include TextFunc.nsh
!include WinVer.nsh
!include x64.nsh

!define MUI_ICON "${TREE}/icon.ico"
!define MUI_UNICON "${TREE}/icon.ico"
!define MUI_FINISHPAGE_RUN "$INSTDIR\bin\fracture-edge-window.exe"
!define MUI_FINISHPAGE_RUN_TEXT "Open Fracture Edge"
!define MUI_FINISHPAGE_NOAUTOCLOSE
!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

!define KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\FractureEdge"
!define RELEASE "versions\${NAME}"
!define UNFIT 4
!define NOT_WRITABLE 8
Var Words
Var Current
Var Known
Var Status
Var Copying

!macro Refuse CODE SENTENCE
    DetailPrint "${SENTENCE}"
    SetErrorLevel ${CODE}
    IfSilent +2
    MessageBox MB_ICONSTOP "${SENTENCE}"
    Abort
!macroend

Function .onInit
    ${IfNot} ${RunningX64}
        !insertmacro Refuse ${UNFIT} "This PC has a 32-bit Windows. Fracture Edge needs a 64-bit Windows 10 or 11."
    ${EndIf}
    ${IfNot} ${AtLeastWin10}
        !insertmacro Refuse ${UNFIT} "This Windows is too old. Fracture Edge needs Windows 10 or 11."
    ${EndIf}
    System::Call 'kernel32::IsProcessorFeaturePresent(i 40) i .r0'
    ${If} $0 = 0
        !insertmacro Refuse ${UNFIT} "This PC's processor lacks AVX2. Use a PC of 2014 or later."
    ${EndIf}
FunctionEnd

; /PORT=N, /KEY=FILE and /OLDER become words for the version's own Python.
Function ReadWords
    StrCpy $Words ""
    ${GetParameters} $0
    ${GetOptions} $0 "/PORT=" $1
    ${IfNot} ${Errors}
        StrCpy $Words "$Words --port $1"
    ${EndIf}
    ${GetOptions} $0 "/KEY=" $1
    ${IfNot} ${Errors}
        StrCpy $Words '$Words --trusted-key "$1"'
    ${EndIf}
    ${GetOptions} $0 "/OLDER" $1
    ${IfNot} ${Errors}
        StrCpy $Words "$Words --allow-older"
    ${EndIf}
FunctionEnd

Section
    SetShellVarContext current
    Call ReadWords
    Call ReadCurrent
    Call CheckFolder
    ; The same version again: what runs from its folder would hold its files.
    ${If} $Current == "versions/${NAME}"
        nsExec::Exec '"$INSTDIR\bin\fracture-edge.exe" status'
        Pop $Status
        nsExec::Exec '"$INSTDIR\bin\fracture-edge.exe" stop'
        Pop $0
    ${EndIf}
    ClearErrors
    SetOutPath "$INSTDIR\${RELEASE}"
    ${If} ${Errors}
        !insertmacro Refuse ${NOT_WRITABLE} "$INSTDIR cannot be written. Choose another folder."
    ${EndIf}
    DetailPrint "Copying"
    SetDetailsPrint none
    StrCpy $Copying yes
    File /r "${TREE}/*.*"
    StrCpy $Copying ""
    SetDetailsPrint both
    ${If} ${Errors}
        Call TakeBack
        !insertmacro Refuse ${NOT_WRITABLE} "The files could not be copied. Free space on the disk, and try again."
    ${EndIf}
    SetOutPath "$INSTDIR"
    nsExec::ExecToLog '"$INSTDIR\${RELEASE}\runtime\python.exe" -IB -m edge_app.installed install --prefix "$INSTDIR" --source "$INSTDIR\${RELEASE}" --yes$Words'
    Pop $0
    ${If} $Status == 0
        Exec '"$INSTDIR\bin\fracture-edge-window.exe" serve'
    ${EndIf}
    ${If} $0 != 0
        Call TakeBack
        ${If} $0 == "error"
            StrCpy $0 5
        ${EndIf}
        !insertmacro Refuse $0 "Fracture Edge was not installed; the lines above say why. What ran before runs on."
    ${EndIf}
    WriteUninstaller "$INSTDIR\uninstall.exe"
    CreateShortcut "$DESKTOP\Fracture Edge.lnk" "$INSTDIR\bin\fracture-edge-window.exe" "" "$INSTDIR\icon.ico"
    CreateShortcut "$SMPROGRAMS\Fracture Edge.lnk" "$INSTDIR\bin\fracture-edge-window.exe" "" "$INSTDIR\icon.ico"
    CreateShortcut "$SMSTARTUP\Fracture Edge.lnk" "$INSTDIR\bin\fracture-edge-window.exe" "serve" "$INSTDIR\icon.ico"
    WriteRegStr HKCU "Software\FractureEdge" "Prefix" "$INSTDIR"
    WriteRegStr HKCU "${KEY}" "DisplayName" "Fracture Edge"
    WriteRegStr HKCU "${KEY}" "DisplayVersion" "${VERSION}"
    WriteRegStr HKCU "${KEY}" "Publisher" "Fracture Edge"
    WriteRegStr HKCU "${KEY}" "DisplayIcon" "$INSTDIR\icon.ico"
    WriteRegStr HKCU "${KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
    WriteRegStr HKCU "${KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
    WriteRegDWORD HKCU "${KEY}" "EstimatedSize" ${SIZE_KIB}
    WriteRegDWORD HKCU "${KEY}" "NoModify" 1
    WriteRegDWORD HKCU "${KEY}" "NoRepair" 1
SectionEnd

; Before anything is copied: whether the folder's path leaves room for those of the files, and the disk has space.
Function CheckFolder
    StrLen $0 $INSTDIR
    ${If} $0 > ${LONGEST_PREFIX}
        !insertmacro Refuse ${UNFIT} "The folder's path has $0 characters; Windows leaves room for ${LONGEST_PREFIX}. Choose a shorter one, such as C:\FractureEdge (silent: /D=C:\FractureEdge)."
    ${EndIf}
    ${If} $Known == yes
        Return
    ${EndIf}
    StrCpy $1 $INSTDIR
    ${DoUntil} ${FileExists} "$1\*.*"
        ${GetParent} $1 $1
    ${LoopUntil} $1 == ""
    System::Call 'kernel32::GetDiskFreeSpaceExW(w "$1", *l .r2, p 0, p 0) i .r0'
    System::Int64Op $2 < ${SPACE_BYTES}
    Pop $2
    ${If} $0 != 0
    ${AndIf} $2 = 1
        !insertmacro Refuse ${UNFIT} "The disk has too little free space; ${SPACE_MB} MB are needed. Free space, or choose a folder on another disk (silent: /D=)."
    ${EndIf}
FunctionEnd

; What this PC had: the release that is current, and whether this one lies here, perhaps to roll back to.
Function ReadCurrent
    StrCpy $Current ""
    StrCpy $Status ""
    StrCpy $Known ""
    ${If} ${FileExists} "$INSTDIR\${RELEASE}\SHA256SUMS"
        StrCpy $Known yes
    ${EndIf}
    ${If} ${FileExists} "$INSTDIR\current"
        FileOpen $1 "$INSTDIR\current" r
        FileRead $1 $Current
        FileClose $1
        ${TrimNewLines} $Current $Current
    ${EndIf}
FunctionEnd

; A file that cannot be written ends the section where it stands.
Function .onInstFailed
    ${If} $Copying == yes
        Call TakeBack
        SetErrorLevel ${NOT_WRITABLE}
    ${EndIf}
FunctionEnd

; Deletes what was copied, unless it is the version that runs.
Function TakeBack
    Push $0
    SetOutPath $TEMP ; out of what is deleted
    ${If} $Known == ""
    ${AndIf} $Current != "versions/${NAME}"
        RMDir /r "$INSTDIR\${RELEASE}"
    ${EndIf}
    ${IfNot} ${FileExists} "$INSTDIR\current"
        RMDir "$INSTDIR\versions"
        RMDir "$INSTDIR\deployments"
        Delete "$INSTDIR\.lock"
        RMDir "$INSTDIR"
    ${EndIf}
    Pop $0
FunctionEnd

Section Uninstall
    SetShellVarContext current
    nsExec::ExecToLog '"$INSTDIR\bin\fracture-edge.exe" stop'
    Pop $0
    RMDir /r "$INSTDIR\versions"
    RMDir /r "$INSTDIR\deployments"
    ; The program that waited for the app ends a moment after it, and until then holds its own file.
    ${For} $1 1 40
        Delete "$INSTDIR\bin\fracture-edge*.exe"
        ${IfNot} ${FileExists} "$INSTDIR\bin\fracture-edge*.exe"
            ${Break}
        ${EndIf}
        Sleep 500
    ${Next}
    RMDir "$INSTDIR\bin"
    Delete "$INSTDIR\current"
    Delete "$INSTDIR\icon.svg"
    Delete "$INSTDIR\icon.ico"
    Delete "$INSTDIR\guide-it.html"
    Delete "$INSTDIR\guide-staff.html"
    Delete "$INSTDIR\.lock"
    Delete "$INSTDIR\uninstall.exe"
    RMDir "$INSTDIR"
    Delete "$DESKTOP\Fracture Edge.lnk"
    Delete "$SMPROGRAMS\Fracture Edge.lnk"
    Delete "$SMSTARTUP\Fracture Edge.lnk"
    DeleteRegKey HKCU "${KEY}"
    DeleteRegKey HKCU "Software\FractureEdge"
SectionEnd
